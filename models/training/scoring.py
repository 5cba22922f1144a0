"""Scores all lists with a module, and measures their order."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from accelerate.utils import send_to_device
from numpy.typing import NDArray
from torch import Tensor

from models.architectures.base import Architecture
from models.padding import from_lists
from models.ragged import gather_positions
from models.training.examples.lists import Lists
from models.training.metrics import ndcg

LISTS_SCORED_TOGETHER = 256
"""Maximum number of lists in one forward pass."""
CANDIDATES_SCORED_TOGETHER = 65_536
"""Maximum number of candidates, including padding, in a forward pass over several lists.

Lists over a whole catalogue are long, and activations take a few hundred bytes per candidate and layer.
"""
TOKENS_SCORED_TOGETHER = 16_384
"""Maximum number of tokens of text pairs, including padding, in one forward pass. A longer pair is scored alone.

Activations take tens of kilobytes per token in a text ranker of BERT's size.
"""
_PAIRS_ASSEMBLED_TOGETHER = 4096
"""Maximum number of pairs of several lists whose tokens are in memory together."""


def score(
    module: Architecture, lists: Lists, progress: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Return all scores (N,). ``progress`` is called with the number of lists that are done."""
    module.eval()
    device = next(module.parameters()).device
    scores = np.zeros(lists.batch.candidate_count, dtype=np.float32)
    done = 0
    with torch.inference_mode():
        longest = int(lists.batch.lengths.max(initial=1))
        mask = _mask_of_pairs(module)
        most = CANDIDATES_SCORED_TOGETHER if mask is None else _PAIRS_ASSEMBLED_TOGETHER
        for requests in lists.by_size(max(1, min(LISTS_SCORED_TOGETHER, most // longest))):
            inputs = lists.step(requests).inputs
            positions, offsets = gather_positions(lists.batch.offsets, requests)
            found = (
                module(send_to_device(inputs, device)).cpu()
                if mask is None
                else _scores_of_pairs(module, inputs, mask, device)
            ).numpy()
            scores[positions] = (
                found if found.ndim == 1 else from_lists(found, offsets)
            )  # flat, or padded lists
            done += len(requests)
            if progress is not None:
                progress(done)
    module.train()
    return scores


def score_ndcg(module: Architecture, lists: Lists) -> float:
    """Return the mean NDCG@10 of the lists, ordered by the module's scores."""
    return ndcg(score(module, lists), lists.labels, lists.batch.offsets)


def _mask_of_pairs(module: Architecture) -> str | None:
    """Return the input that marks the tokens of text pairs, or None if the module reads none."""
    inputs = module.signature("").inputs
    return next((spec.name for spec in inputs if spec.source == "tokens.mask"), None)


def _scores_of_pairs(
    module: Architecture, inputs: Mapping[str, Tensor], mask: str, device: torch.device
) -> Tensor:
    """Return the scores (P,) of pairs (P, L). Pairs of similar length share a pass, padded to its longest pair."""
    lengths = inputs[mask].sum(dim=1).clamp(min=1)  # a request without a query has no tokens
    order = lengths.argsort(descending=True, stable=True)
    scores = torch.zeros(len(order))
    while len(order):
        longest = int(lengths[order[0]])
        pairs = order[: max(1, TOKENS_SCORED_TOGETHER // longest)]
        part = {name: values[pairs, :longest] for name, values in inputs.items()}
        scores[pairs] = module(send_to_device(part, device)).cpu().float()
        order = order[len(pairs) :]
    return scores
