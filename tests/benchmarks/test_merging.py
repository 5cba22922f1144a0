import pytest

from benchmarks.cases.workloads import WORKLOADS
from benchmarks.merging import split


@pytest.mark.parametrize("name", ["dlrm", "walks-200"])
def test_a_split_pipeline_has_one_ranker_behind_the_ingresses(name: str) -> None:
    pipeline = split(WORKLOADS[name].pipeline(), 8)
    assert pipeline.ingress_unit == "ingress"
    assert pipeline.units["ingress"].replicas == 8
    assert pipeline.units["ranker"].stages == ("ranker",)
    assert pipeline.units["ranker"].replicas == 1
    assert sorted(s for unit in pipeline.units.values() for s in unit.stages) == sorted(
        pipeline.stage_names()
    )
