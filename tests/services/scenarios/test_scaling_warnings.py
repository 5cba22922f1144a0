"""The warning of ``rankway check`` about calls in flight that limit a unit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscale.profiles import Profile, Timing, write_profile
from services.config.loading import load_config
from services.deployment.advice import scaling_warnings
from services.deployment.check import Preflight
from tests.pipelines import SPLIT, merged, pipeline_document

PROFILED = {"units": {"main": {"profile": "main.json"}, "scorer": {"profile": "scorer.json"}}}
SLO = {"autoscaling": {"policy": {"kind": "slo"}, "p99_ms": 400}}


def warnings_of(home: Path, *changes: Mapping[str, Any], about: str = "max_calls_in_flight") -> list[str]:
    for unit, batch_ms in (("main", 1.0), ("scorer", 40.0)):
        once = Timing(
            requests=1, candidates=200, p50_ms=batch_ms, p99_ms=batch_ms, mean_ms=batch_ms, runs=100
        )
        profile = Profile(
            unit=unit, pool="local", machine="a test's", timings=(once,), startup_s=5.0, memory_mib=100.0
        )
        write_profile(profile, home / f"{unit}.json")
    document: dict[str, Any] = pipeline_document()
    for change in (SPLIT, *changes):
        document = merged(document, change)
    (home / "pipeline.yaml").write_text(yaml.safe_dump(document))
    said = scaling_warnings(Preflight(load_config(home / "pipeline.yaml"), home))
    return [line for line in said if about in line]


@pytest.mark.parametrize("scaling", [{}, SLO], ids=["fixed", "slo"])
def test_warns_if_calls_in_flight_limit_the_ingress(tmp_path: Path, scaling: Mapping[str, Any]) -> None:
    (line,) = warnings_of(tmp_path, PROFILED, scaling)
    assert line.startswith("units.main.max_calls_in_flight: limits a replica of main@local to ")
    assert " ms at scorer@local), got 2; raise max_calls_in_flight to " in line
    enough = int(line.rpartition(" ")[2])
    assert (
        warnings_of(tmp_path, PROFILED, scaling, {"units": {"main": {"max_calls_in_flight": enough}}}) == []
    )


def test_does_not_warn_without_a_profile_of_the_other_unit(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, {"units": {"main": {"profile": "main.json"}}}) == []
    lost = {"units": {"main": {"profile": "main.json"}, "scorer": {"profile": "lost.json"}}}
    assert warnings_of(tmp_path, lost) == []


def test_does_not_warn_for_a_pipeline_of_one_unit(tmp_path: Path) -> None:
    whole = {"units": {"main": {"stages": ["features", "ranker"], "profile": "main.json"}, "scorer": None}}
    document = merged(pipeline_document(), whole)
    del document["units"]["scorer"]
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(document))
    assert scaling_warnings(Preflight(load_config(tmp_path / "pipeline.yaml"), tmp_path)) == []


def test_warns_if_a_profile_does_not_include_the_instances(tmp_path: Path) -> None:
    two = {"models": {"ranker": {"instances": 2}}}
    (line,) = warnings_of(tmp_path, PROFILED, two, about="model thread")
    assert line.startswith(
        "units.scorer.profile: policies, planner and simulator count a replica as one model thread"
    )
    assert warnings_of(tmp_path, two, about="model thread") == []
    assert warnings_of(tmp_path, PROFILED, about="model thread") == []
