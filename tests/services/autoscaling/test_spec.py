"""Pipeline specs for policies and the simulator."""

from pathlib import Path
from typing import Any

import pytest

from autoscale.errors import ProfileError, SpecError
from autoscale.profiles import Profile, Timing, write_profile
from autoscale.spec import Key
from services.autoscaling.spec import lowered, needed_profiles, profiles_of, spec_of
from services.config.loading import load_config, validated
from services.config.pipeline import PipelineConfig
from tests.pipelines import SPLIT, merged, pipeline_document

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))
POOLED: dict[str, Any] = merged(
    SPLIT,
    {
        "pools": {
            "cpu": {"cpus": 16, "memory_gib": 64, "max_nodes": 10},
            "gpu": {"cpus": 8, "memory_gib": 64, "gpus": 2, "max_nodes": 3},
        },
        "units": {
            "main": {"profile": "main.json"},
            "scorer": {
                "pools": {
                    "gpu": {"gpus": 0.5, "cpus": 1, "profile": "scorer-gpu.json"},
                    "cpu": {"cpus": 4, "replicas": 5, "profile": "scorer-cpu.json"},
                }
            },
        },
        "fallback": {"model": "ranker"},
    },
)


def config_of(*changes: dict[str, Any]) -> PipelineConfig:
    document = pipeline_document()
    for change in changes:
        document = merged(document, change)
    return validated(document, "test")


def measured(home: Path, name: str, unit: str, pool: str, **more: Any) -> Profile:
    timing = Timing(requests=1, candidates=100, p50_ms=2.0, p99_ms=3.0, mean_ms=2.1, runs=50)
    profile = Profile(
        unit=unit, pool=pool, machine="test", timings=(timing,), startup_s=3.0, memory_mib=200.0, **more
    )
    write_profile(profile, home / name)
    return profile


@pytest.fixture
def home(tmp_path: Path) -> Path:
    measured(tmp_path, "main.json", "main", "local", fallback_us_per_candidate=2.0)
    measured(tmp_path, "scorer-gpu.json", "scorer", "gpu")
    measured(tmp_path, "scorer-cpu.json", "scorer", "cpu")
    return tmp_path


def test_units_are_in_request_order_with_pools_and_profiles(home: Path) -> None:
    spec = spec_of(config_of(POOLED), home)
    assert [str(key) for key in spec.keys()] == ["main@local", "scorer@gpu", "scorer@cpu"]
    cpu = spec.placed(Key("scorer", "cpu"))
    assert (cpu.cpus, cpu.gpus, cpu.initial_replicas, cpu.profile.pool) == (4, 0, 5, "cpu")
    assert spec.unit("scorer").max_candidates == 512
    assert spec.pools["gpu"].gpus == 2
    assert spec.fallback is not None
    assert spec.fallback.seconds_per_candidate == pytest.approx(2e-6)


def test_limits_replicas_to_the_capacity_of_the_pool(home: Path) -> None:
    spec = spec_of(config_of(POOLED), home)
    assert spec.placed(Key("scorer", "cpu")).max_replicas == 10 * 4
    assert spec.placed(Key("scorer", "gpu")).max_replicas == 3 * 4


def test_autoscaling_sets_objective_interval_and_bounds(home: Path) -> None:
    scaling = {
        "autoscaling": {
            "policy": {"kind": "target_ongoing"},
            "p99_ms": 80,
            "decision_interval_s": 2,
            "bounds": {"scorer@gpu": {"min_replicas": 2, "max_replicas": 9}},
        }
    }
    spec = spec_of(config_of(POOLED, scaling), home)
    assert (spec.p99_ms, spec.decision_interval_s) == (80, 2)
    gpu = spec.placed(Key("scorer", "gpu"))
    assert (gpu.min_replicas, gpu.max_replicas) == (2, 9)


def test_policy_that_reads_no_profile_needs_none() -> None:
    config = config_of({"autoscaling": {"policy": {"kind": "target_ongoing"}, "p99_ms": 80}})
    assert needed_profiles(config, Path("/nowhere")) == {}
    assert lowered(config, {}).placed(Key("main", "local")).profile.machine == "not measured"


def test_error_for_wrong_profile_names_the_unit_and_the_remedy(home: Path) -> None:
    with pytest.raises(
        ProfileError, match=r"units.main.profile: main has no profile; measure one with `rankway models bench"
    ):
        spec_of(config_of(), home)
    with pytest.raises(
        ProfileError, match=r"gone.json: cannot be read: .*; create it with `rankway models bench"
    ):
        spec_of(config_of({"units": {"main": {"profile": "gone.json"}}}), home)
    with pytest.raises(
        ProfileError, match=r"expected a profile of main@local, got scorer-gpu.json of scorer@gpu"
    ):
        spec_of(config_of({"units": {"main": {"profile": "scorer-gpu.json"}}}), home)


def test_refuses_replica_that_fits_no_node(home: Path) -> None:
    small = {"pools": {"cpu": {"cpus": 2}}}
    with pytest.raises(
        SpecError, match=r"a replica of scorer@cpu needs 4 cpus, but a node of pool cpu has 2"
    ):
        spec_of(config_of(POOLED, small), home)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_has_a_spec_and_matching_profiles(path: Path) -> None:
    config = load_config(path)
    if any(unit.profile for unit in config.units.values()):
        assert profiles_of(config, Path("/nowhere"))
    assert lowered(config, {}).units[0].name == config.ingress_unit
