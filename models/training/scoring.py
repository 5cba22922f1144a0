"""Scores all lists with a module, and measures their order."""

from collections.abc import Callable

import numpy as np
import torch
from accelerate.utils import send_to_device
from numpy.typing import NDArray

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
        lists_per_pass = max(1, min(LISTS_SCORED_TOGETHER, CANDIDATES_SCORED_TOGETHER // longest))
        for requests in lists.by_size(lists_per_pass):
            inputs = send_to_device(lists.step(requests).inputs, device)
            positions, offsets = gather_positions(lists.batch.offsets, requests)
            found = module(inputs).cpu().numpy()
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
