"""The history cache's costs on the tiny world."""

from pathlib import Path

import pytest

from benchmarks.cases.workloads import Workload
from benchmarks.history_cache import measure


@pytest.mark.slow
def test_measures_both_rankers_with_and_without_the_cache(tiny_home: Path) -> None:
    workload = Workload("tiny", tiny_home / "walks.yaml", candidates=50, k=10)
    costs = measure(workload, tiny_home, [1, 3], seconds=0.1)
    assert [(cost.model, cost.requests_a_batch) for cost in costs] == [
        ("ranker", 1),
        ("ranker", 3),
        ("wide", 1),
        ("wide", 3),
    ]
    assert all(min(c.without_core_ms, c.missed_core_ms, c.hit_core_ms, c.bytes_a_past) > 0 for c in costs)
