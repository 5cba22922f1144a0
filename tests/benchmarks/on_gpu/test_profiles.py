"""Profiles that the benchmark writes, and the marks of estimated ones."""

import json
from pathlib import Path

import pytest

from autoscale.profiles import read_profile
from benchmarks import gpu

PROFILES = Path(__file__).parents[3] / "configs" / "profiles"
BASE = PROFILES / "cluster-ranker-cpu.json"


def test_writes_a_profile_that_the_autoscaler_reads(tmp_path: Path) -> None:
    target = tmp_path / "profiles" / "gpu.json"
    assert gpu.main(["--smoke", "--profile", str(target), "--profile-pool", "gpu-small"]) == 0
    profile, base = read_profile(target), read_profile(BASE)
    assert (profile.unit, profile.pool) == ("ranker", "gpu-small")
    assert [(t.requests, t.candidates) for t in profile.timings] == [
        (t.requests, t.candidates) for t in base.timings
    ]
    assert profile.machine.startswith("measured on ")
    assert BASE.name in profile.machine  # where the times outside the batches are from
    assert profile.overhead_cpu_ms == base.overhead_cpu_ms
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("content", ["", "[]", '{"timings": 3}', '{"unit": "ranker", "timings": [{}]}'])
def test_refuses_a_base_that_is_no_profile(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base, target = tmp_path / "base.json", tmp_path / "gpu.json"
    base.write_text(content)
    assert gpu.main(["--smoke", "--profile", str(target), "--profile-base", str(base)]) == 1
    assert "--profile-base: cannot be read as a profile" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize("name", ["cluster-ranker-gpu-small.json", "cluster-ranker-gpu-large.json"])
def test_shipped_gpu_profiles_are_measured_or_marked_as_estimates(name: str) -> None:
    machine = json.loads((PROFILES / name).read_text())["machine"]
    assert machine.startswith("ESTIMATE ") or (machine.startswith("measured on ") and "gpu.py" in machine)
