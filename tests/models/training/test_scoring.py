"""A module scores all lists."""

import numpy as np
import torch

from models.architectures.history_ranker import HistoryRanker
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch
from models.signature import Inputs, Signature
from models.training.examples.lists import Lists
from models.training.scoring import TOKENS_SCORED_TOGETHER, score
from tests.models.runtimes.shapes import make_classifier, random_inputs
from tests.models.worlds import RANKER, make_batch


def test_scores_are_in_the_order_of_the_candidates(catalogue: Catalogue) -> None:
    torch.manual_seed(0)
    module = HistoryRanker(RANKER)
    batch = make_batch([3, 7, 2, 5] * 9, [1, 0, 4, 8] * 9)
    assembler = InputAssembler(module.signature(""), catalogue, whole_lists=True)
    lists = Lists(batch, np.zeros(batch.candidate_count, dtype=np.float32), assembler)
    reported: list[int] = []
    scores = score(module, lists, reported.append)
    part = lists.subset(np.array([7]))
    start, end = batch.offsets[7:9]
    np.testing.assert_allclose(scores[start:end], score(module, part), atol=1e-5)
    assert reported == [36]


class RandomPairs:
    """Assembles pairs (N, 64) of random tokens. Half of the slots are padding."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature

    def __call__(self, batch: RaggedBatch) -> Inputs:
        lengths = {"requests": 0, "extra_chunks": 0, "longest": 0, "tokens": 64}
        return random_inputs(self._signature, {**lengths, "candidates": batch.candidate_count}, seed=1)

    def flatten(self, outputs: Inputs, batch: RaggedBatch) -> Inputs:
        return outputs


def test_text_pairs_are_scored_in_passes_of_bounded_size() -> None:
    torch.manual_seed(0)
    module = make_classifier()
    batch = make_batch([20] * 40, [0] * 40)
    lists = Lists(batch, np.zeros(batch.candidate_count, dtype=np.float32), RandomPairs(module.signature("")))
    slots: list[int] = []
    module.register_forward_pre_hook(lambda _, args: slots.append(args[0]["input_ids"].numel()))
    scores = score(module, lists)
    assert len(slots) > 1
    assert max(slots) <= TOKENS_SCORED_TOGETHER < 800 * 64
    assert sum(slots) < 0.75 * 800 * 64
    module.eval()
    with torch.inference_mode():
        expected = module(lists.step(np.arange(40)).inputs).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-5)
