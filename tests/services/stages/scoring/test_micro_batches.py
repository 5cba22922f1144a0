"""Micro-batches: every candidate is scored once, in order, in calls of limited size, with the same score."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from models.ragged import RaggedBatch
from services.stages.scoring.history_cache import HistoryCacheConfig, NoCounts
from services.stages.scoring.history_scorer import HistoryScorer
from services.stages.scoring.micro_batches import divided, in_micro_batches
from services.stages.scoring.scorer import ModelConfig, ModelScorer, Scorer
from tests.models.test_ragged import batch_of
from tests.models.worlds import FEATURES, make_batch, make_catalogue, make_ranker
from tests.services.stages.scoring.test_history_scorer import write

LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@given(LENGTHS, st.integers(1, 100))
def test_parts_have_all_requests_in_order_and_keep_the_limit(lengths: list[int], limit: int) -> None:
    batch = batch_of(lengths)
    parts = divided(batch, limit)
    assert [key for part in parts for key in part.user_keys] == list(batch.user_keys)
    assert np.concatenate([part.rows for part in parts]).tolist() == batch.rows.tolist()
    for part in parts:
        asked = int((part.lengths > 0).sum())
        assert part.candidate_count <= limit or asked == 1
        assert part.candidate_count or not batch.candidate_count
    # Parts are of about equal size, so no two neighbours are both small.
    assert all(a.candidate_count + b.candidate_count > limit / 2 for a, b in itertools.pairwise(parts))


@given(LENGTHS, st.one_of(st.none(), st.integers(1, 100)))
def test_scores_stay_in_the_order_of_the_candidates(lengths: list[int], limit: int | None) -> None:
    calls: list[int] = []

    def score(part: RaggedBatch) -> NDArray[np.float32]:
        calls.append(part.candidate_count)
        return part.candidates["score"]

    batch = batch_of(lengths)
    assert in_micro_batches(batch, limit, score).tolist() == batch.candidates["score"].tolist()
    assert sum(calls) == batch.candidate_count
    if limit is None or batch.candidate_count <= limit:
        assert len(calls) == min(1, batch.candidate_count)


class Scorers:
    """One ranker, with and without micro-batches, and with the history cache."""

    def __init__(self, home: Path) -> None:
        catalogue = make_catalogue(home / "catalogue")
        write(home, make_ranker())
        small = ModelConfig(artifact="ranker", micro_batch_candidates=16)
        self.whole = ModelScorer(ModelConfig(artifact="ranker"), catalogue, home)
        cached = HistoryScorer(small, HistoryCacheConfig(), catalogue, FEATURES, home, NoCounts())
        self.divided: dict[str, Scorer] = {
            "plain": ModelScorer(small, catalogue, home),
            "grown": ModelScorer(small, catalogue, home).over(catalogue),
            "cached": cached,
            "cached and grown": cached.over(catalogue),
        }


@pytest.fixture(scope="module")
def scorers(tmp_path_factory: pytest.TempPathFactory) -> Scorers:
    return Scorers(tmp_path_factory.mktemp("micro-batches"))


@pytest.mark.parametrize("kind", ["plain", "grown", "cached", "cached and grown"])
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 8)), min_size=1, max_size=8), st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_a_model_gives_the_same_scores_in_micro_batches(
    scorers: Scorers, kind: str, shapes: list[tuple[int, int]], seed: int
) -> None:
    batch = make_batch([count for count, _ in shapes], [past for _, past in shapes], seed)
    wanted = scorers.whole.scores(batch, "score")
    np.testing.assert_allclose(scorers.divided[kind].scores(batch, "score"), wanted, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("kind", ["whole", "plain", "cached"])
@pytest.mark.parametrize("shapes", [[(0, 0)], [(0, 8)], [(0, 3), (0, 0)], [(0, 3), (2, 0), (0, 8)]])
def test_scores_requests_without_candidates(
    scorers: Scorers, kind: str, shapes: list[tuple[int, int]]
) -> None:
    batch = make_batch([count for count, _ in shapes], [past for _, past in shapes], 0)
    scorer = scorers.whole if kind == "whole" else scorers.divided[kind]
    scores = scorer.scores(batch, "score")
    assert scores.dtype == np.float32
    assert scores.shape == (batch.candidate_count,)
    assert np.isfinite(scores).all()


def test_refuses_micro_batches_without_candidates() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        ModelConfig(artifact="ranker", micro_batch_candidates=0)
