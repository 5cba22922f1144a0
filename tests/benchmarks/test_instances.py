"""The sides of the benchmark of instances are pipelines that use the same cores."""

from pathlib import Path

import pytest

from benchmarks.cases.workloads import WORKLOADS
from benchmarks.instances import SIDES, Plan, _changed, _pipeline
from services.config.instances import model_threads, refuse_instances
from services.config.pipeline import PipelineConfig


@pytest.mark.parametrize("workload", ["dlrm", "walks-200"])
def test_sides_use_the_same_cores_without_a_fallback(workload: str) -> None:
    plan = Plan(
        WORKLOADS[workload], is_wide=False, sides=list(SIDES), cores=2, clients=[1], seconds=1.0, rounds=1
    )
    with _pipeline(plan, Path()) as data:
        for side in SIDES:
            config = PipelineConfig.model_validate(_changed(data, side, plan.cores))
            refuse_instances(config, "main")
            unit, threads = config.units["main"], {model.runtime.threads for model in config.models.values()}
            cores = unit.replicas * model_threads(config, "main") * max(threads)
            assert cores == (1 if side == "one" else 2)
            assert unit.replicas * unit.cpus == cores
            assert config.fallback is None
