import pytest

from autoscale.errors import SpecError
from autoscale.pools import PoolConfig
from autoscale.spec import Key, PipelineSpec, PlacedUnit, UnitSpec
from tests.autoscale.test_profiles import PROFILE

CPU = PoolConfig(cpus=16, memory_gib=64, price_per_hour=0.7)
SPEC = PipelineSpec(
    name="walks",
    units=(UnitSpec("ranker", (PlacedUnit("cpu", PROFILE, cpus=1),), 512, 65_536),),
    pools={"cpu": CPU},
    p99_ms=80,
    deadline_ms=500,
)


def test_finds_placement_by_unit_and_pool() -> None:
    assert list(SPEC.keys()) == [Key("ranker", "cpu")]
    assert str(Key("ranker", "cpu")) == "ranker@cpu"
    assert SPEC.placed(Key("ranker", "cpu")).profile is PROFILE


def test_error_names_unknown_unit_or_pool() -> None:
    with pytest.raises(SpecError, match="unknown unit, got reranker; the pipeline has ranker"):
        SPEC.unit("reranker")
    with pytest.raises(SpecError, match="not in pool gpu"):
        SPEC.placed(Key("ranker", "gpu"))
