"""``rankway models bench`` on a real service."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.autoscaling.spec import spec_of
from services.config.loading import validated
from tests.pipelines import SPLIT, make_pipeline, merged, pipeline_document
from tests.services.processes import ROOT

NAMED = {"main": {"profile": "profiles/small-main.json"}, "scorer": {"profile": "profiles/small-scorer.json"}}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_writes_profiles_that_the_pipeline_can_name(tmp_path: Path) -> None:
    # The measurement's requests have a longer deadline than this pipeline allows its callers.
    config = make_pipeline(tmp_path, merged(SPLIT, {"requests": {"max_deadline_ms": 1000}}))
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "models", "bench", str(config), "--json"],
        cwd=ROOT,
        env={**os.environ, "RANKWAY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout)
    assert [(profile["unit"], profile["pool"]) for profile in report] == [
        ("main", "local"),
        ("scorer", "local"),
    ]
    spec = spec_of(validated(merged(merged(pipeline_document(), SPLIT), {"units": NAMED}), "test"), tmp_path)
    assert spec.units[1].placed[0].profile.served_ratio != 1.0
    for unit in spec.units:
        profile = unit.placed[0].profile
        assert profile.startup_s > 0.1
        assert 10 < profile.memory_mib < 4096
        assert profile.overhead_ms > 0
        assert profile.neighbours == 0
        assert profile.machine.startswith("measured on ")


def test_a_pipeline_that_cannot_be_served_is_refused_with_its_faults(tmp_path: Path) -> None:
    config = make_pipeline(tmp_path, {"models": {"ranker": {"artifact": "gone"}}})
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "models", "bench", str(config)],
        cwd=ROOT,
        env={**os.environ, "RANKWAY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "models.ranker.artifact: no artifact at" in done.stderr
