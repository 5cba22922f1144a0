"""A module scores all lists."""

import numpy as np
import torch

from models.architectures.history_ranker import HistoryRanker
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.training.examples.lists import Lists
from models.training.scoring import score
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
