"""The listwise reranker: scores depend on the list and the history, but not on padding and order."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from models.architectures.listwise import ListwiseReranker
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, RaggedBatch
from tests.models.worlds import RERANKER, make_batch, make_catalogue, make_reranker

TOLERANCE = 1e-5


class Scorer:
    """A reranker with its input assembler."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.model = make_reranker()
        self.assembler = InputAssembler(self.model.signature(""), catalogue)

    def inputs(self, batch: RaggedBatch) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(values) for name, values in self.assembler(batch).items()}

    def padded(self, inputs: dict[str, torch.Tensor]) -> NDArray[np.float32]:
        with torch.inference_mode():
            scores: NDArray[np.float32] = self.model(inputs).numpy()
        return scores

    def __call__(self, batch: RaggedBatch) -> NDArray[np.float32]:
        """Return the scores (N,)."""
        scores = self.padded(self.inputs(batch))
        return np.asarray(self.assembler.flatten({"score": scores}, batch)["score"])


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return Scorer(make_catalogue(tmp_path_factory.mktemp("world") / "catalogue"))


def test_untrained_reranker_returns_the_scores_of_the_ranker(scorer: Scorer) -> None:
    inputs = scorer.inputs(make_batch([4, 2], [3, 0]))
    with torch.inference_mode():
        assert torch.equal(ListwiseReranker(RERANKER)(inputs), inputs["ranked"])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 8)), min_size=1, max_size=5), st.integers(0, 999))
@settings(max_examples=30)
def test_scores_do_not_depend_on_padding_or_other_requests(
    scorer: Scorer, shapes: list[tuple[int, int]], seed: int
) -> None:
    batch = make_batch([n for n, _ in shapes], [past for _, past in shapes], seed)
    together = scorer(batch)
    for index in range(len(batch)):
        own = slice(*batch.offsets[index : index + 2])
        np.testing.assert_allclose(together[own], scorer(batch.take(np.array([index]))), atol=TOLERANCE)


def test_values_in_padding_change_no_score(scorer: Scorer) -> None:
    inputs = scorer.inputs(make_batch([3, 5], [2, 4]))
    before = scorer.padded(inputs)[0, :3].copy()
    inputs["item_attributes"][0, 3:] = 1e6
    inputs["ranked"][0, 3:] = -1e6
    inputs["past_attributes"][0, 2:] = 1e6
    np.testing.assert_allclose(scorer.padded(inputs)[0, :3], before, atol=TOLERANCE)


def test_scores_do_not_depend_on_the_order_of_the_list(scorer: Scorer) -> None:
    batch = make_batch([6], [3])
    order = np.array([3, 1, 5, 0, 4, 2])
    np.testing.assert_allclose(scorer(batch.keep(order, batch.offsets)), scorer(batch)[order], atol=TOLERANCE)


def test_scores_depend_on_the_other_candidates_and_on_the_history(scorer: Scorer) -> None:
    batch = make_batch([5], [3])
    before = scorer(batch)
    other = replace(batch, rows=np.append(batch.rows[:4], (batch.rows[4] + 1) % 60))
    assert np.abs(scorer(other) - before)[:4].min() > TOLERANCE
    rating = batch.requests["user.history_rating"]
    assert isinstance(rating, RaggedArray)
    better = batch.adding(
        requests={"user.history_rating": RaggedArray(rating.values + np.float32(1), rating.offsets)}
    )
    assert np.abs(scorer(better) - before).min() > TOLERANCE


def test_scores_are_finite_for_equal_scores_and_single_candidates(scorer: Scorer) -> None:
    batch = make_batch([1, 4], [0, 0])
    same = batch.adding(candidates={"score": np.full(5, 2.0, dtype=np.float32)})
    assert np.isfinite(scorer(same)).all()
