"""Ranker costs on the tiny world."""

from pathlib import Path

import pytest

from benchmarks.cases.workloads import Workload
from benchmarks.rankers import measure


@pytest.mark.slow
def test_measures_both_rankers(tiny_home: Path) -> None:
    workload = Workload("tiny", tiny_home / "walks.yaml", candidates=50, k=10)
    costs = measure(workload, tiny_home, ["ranker", "distilled"], seconds=0.1)
    assert [cost.name for cost in costs] == ["ranker", "distilled"]
    assert all(cost.model_core_ms > 0 and cost.with_inputs_core_ms > 0 for cost in costs)
    assert all(0 < cost.ndcg_at_10 < 1 for cost in costs)
