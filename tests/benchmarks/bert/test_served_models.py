"""The pipeline that serves a model of the ladder."""

from pathlib import Path

import pytest

from benchmarks.bert.served_models import SERVED, Served, cost_per_million, pipeline_of
from services.config.loading import load_config


@pytest.mark.parametrize("served", SERVED, ids=lambda served: served.folder)
def test_pipeline_has_a_replica_for_each_core(served: Served, tmp_path: Path) -> None:
    config = load_config(pipeline_of(served, tmp_path, cores=3))
    assert config.pools["local"].cpus == 3
    assert config.units["main"].replicas == 3
    assert config.models["text"].artifact == f"benchmarks/bert/{served.folder}"
    assert config.models["text"].runtime.kind == served.runtime["kind"]


def test_cost_is_that_of_a_node_that_is_always_busy() -> None:
    # A node has 32 cores and costs 1.4 an hour. 100 requests/s on 2 cores are 1,600 on 32, so 5.76 million an hour.
    assert cost_per_million(100, cores=2) == pytest.approx(1.4 / 5.76)
