"""The router on a real Serve, and a pipeline whose ranker is in two pools."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines import SPLIT, merged
from tests.services.processes import ROOT, free_port, load, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NODE = {"cpus": 4, "memory_gib": 8}
TWO_POOLS: dict[str, Any] = merged(
    SPLIT,
    {
        "pools": {"one": NODE, "two": NODE},
        "units": {
            "main": {"replicas": 2, "cpus": 0.2},
            "scorer": {"pools": {"one": {"cpus": 0.2, "replicas": 2}, "two": {"cpus": 0.3}}},
        },
    },
)


def test_pools_get_their_shares_while_weights_change() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.routing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert len({each.pop("process") for each in report.values()}) == 1  # nothing was restarted
    assert report["three to one"] == {"fast": 9000, "slow": 3000}
    assert report["one to three"] == {"fast": 3000, "slow": 9000}
    assert report["slow alone"] == {"slow": 12_000}
    assert report["with one that has no replica"] == {"fast": 6000, "slow": 6000}


def test_weights_in_the_store_of_ray_reach_every_ingress(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.weighing", str(tmp_path), str(free_port())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout.splitlines()[-1])
    # There are two ingresses. Each keeps the shares to within about one call.
    assert report["from the YAML"]["one"] == pytest.approx(450, abs=40)
    assert report["from the YAML"]["two"] == pytest.approx(150, abs=40)
    assert report["from the store"] == {"one": 0, "two": 600}


def test_ranker_in_two_pools_survives_the_loss_of_one(tmp_path: Path) -> None:
    with served(tmp_path, TWO_POOLS) as service, load(service.port) as asked:
        asked.wait_for(300)
        assert len(service.replicas("scorer@one")) == 2
        (victim,) = service.replicas("scorer@two")
        victim.kill()
        asked.wait_for(300)
        assert asked.wrong == []
        assert set(asked.statuses) == {200}
