from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch, offsets_of
from services.errors import ConfigError
from services.stages.reranker import RerankerConfig, RerankerStage, diversity_vectors
from services.stages.scoring.scorer import ModelScorer
from services.stages.selection.diversity import DiversityConfig, maximal_marginal_relevance
from tests.pipelines import FEATURES


class Reversing:
    """A reranker whose score is the ranker's score negated, so the worst of the best candidates comes first."""

    def scores(self, batch: RaggedBatch, output: str) -> NDArray[np.float32]:
        assert output == "score"
        scores: NDArray[np.float32] = -batch.candidates["score"]
        return scores


def stage(catalogue: Catalogue, *, best: int, weight: float | None = None) -> RerankerStage:
    diversity = None if weight is None else DiversityConfig(column="embedding", relevance_weight=weight)
    config = RerankerConfig(model="reranker", best=best, diversity=diversity)
    return RerankerStage(cast(ModelScorer, Reversing()), config, catalogue, FEATURES)


def ranked_batch(lengths: list[int], seed: int, k: int) -> RaggedBatch:
    random = np.random.default_rng(seed)
    count = sum(lengths)
    scores = random.permutation(count).astype(np.float32)
    return RaggedBatch(
        offsets=offsets_of(np.array(lengths)),
        rows=random.integers(0, 500, count),
        candidates={"score": scores, "ranker": scores},
        k=np.maximum(k - np.arange(len(lengths)), 1),  # each request asks for less than the one before it
    )


@settings(max_examples=80)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    count=st.integers(1, 12),
    best=st.integers(1, 20),
    weight=st.sampled_from([None, 0.0, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_each_list_has_its_best_candidates_in_the_order_of_the_model(
    catalogue: Catalogue, lengths: list[int], count: int, best: int, weight: float | None, seed: int
) -> None:
    batch = ranked_batch(lengths, seed, count)
    answer = stage(catalogue, best=best, weight=weight)(batch)
    assert batch.k is not None
    vectors = np.asarray(catalogue.columns["embedding"])
    for index in range(len(batch)):
        k = int(batch.k[index])
        own = slice(*batch.offsets[index : index + 2])
        top = np.argsort(-batch.candidates["score"][own])[:best]
        rows, scores = batch.rows[own][top], -batch.candidates["score"][own][top]
        if weight is None:
            order: Any = np.argsort(-scores)[:k]
        else:
            mask = np.ones((1, len(rows)), dtype=bool)
            order = maximal_marginal_relevance(scores[None], vectors[rows][None], mask, k, weight)[0]
        given_rows = slice(*answer.offsets[index : index + 2])
        np.testing.assert_array_equal(answer.rows[given_rows], rows[order])
        np.testing.assert_array_equal(answer.candidates["score"][given_rows], scores[order])
        np.testing.assert_array_equal(answer.candidates["ranker"][given_rows], -scores[order])
        np.testing.assert_array_equal(answer.candidates["reranker"][given_rows], scores[order])


@pytest.mark.parametrize(
    ("column", "message"), [("colour", "has no column 'colour'"), ("value", "does not hold finite vectors")]
)
def test_diversity_needs_a_column_of_vectors(catalogue: Catalogue, column: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        diversity_vectors(DiversityConfig(column=column), catalogue)
    assert refused.value.field == "reranker.diversity.column"
