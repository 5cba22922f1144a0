"""Batches of the small pipeline's units, timed in this process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.config.loading import validated
from services.profiling.batches import UnitBatches, measure_batches
from services.wire import unpack
from tests.pipelines import SPLIT, WITH_RERANKER, merged, pipeline_document


def batches_of(home: Path, unit: str, *changes: dict[str, Any]) -> UnitBatches:
    document = pipeline_document()
    for change in changes:
        document = merged(document, change)
    return UnitBatches(validated(document, "test"), home, unit)


def test_sizes_have_usual_requests_and_smaller_ones(small_home: Path) -> None:
    batches = batches_of(small_home, "main")
    assert batches.sizes(100) == [
        (1, 5),
        (1, 20),
        (4, 20),
        (2, 40),
        (8, 40),
        (4, 80),
        (16, 80),
        (5, 100),
        (20, 100),
    ]
    assert batches.sizes(3) == [(1, 5), (1, 20), (4, 20)]
    batches.close()


@pytest.mark.parametrize(
    ("unit", "changes"),
    [("main", {}), ("main", WITH_RERANKER), ("main", SPLIT), ("scorer", SPLIT)],
    ids=["one unit", "reranker", "ingress", "ranker"],
)
def test_every_unit_is_timed_at_every_size(small_home: Path, unit: str, changes: dict[str, Any]) -> None:
    batches = batches_of(small_home, unit, changes)
    timings = measure_batches(batches, 80, seconds=0.1)
    assert [(t.requests, t.candidates) for t in timings] == batches.sizes(80)
    assert all(timing.runs >= 10 and timing.p99_ms >= timing.p50_ms for timing in timings)
    batches.close()


def test_separate_ranker_takes_calls_and_returns_scores(small_home: Path) -> None:
    batches = batches_of(small_home, "scorer", SPLIT)
    scores = batches.job(4, 20)()
    assert isinstance(scores, bytes)
    assert unpack(scores)[0]["score"].shape == (20,)
    assert np.isfinite(unpack(scores)[0]["score"]).all()
    batches.close()


def test_times_the_fallback_model_if_there_is_one(small_home: Path) -> None:
    plain = batches_of(small_home, "main")
    assert plain.fallback_us_per_candidate(100) == 0.0
    plain.close()
    falling = batches_of(small_home, "main", {"fallback": {"model": "ranker"}})
    assert falling.fallback_us_per_candidate(100) > 0.0
    falling.close()
