"""Dispatch compared with a model in memory, on the tiny world."""

from pathlib import Path

import pytest

from benchmarks.cases.workloads import Workload
from benchmarks.dispatch import measure


@pytest.mark.slow
def test_half_of_the_layers_on_disk_give_equal_scores_within_the_memory_limit(tiny_home: Path) -> None:
    workload = Workload("tiny", tiny_home / "walks.yaml", candidates=50, k=10)
    cost = measure(workload, tiny_home, "wide", share=0.5, rounds=3)
    assert cost.difference < 1e-6
    assert cost.limit_mib < 0.51 * cost.weights_mib
    assert cost.keeps_the_limit
