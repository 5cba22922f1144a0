"""`rankway release` with a running service: it swaps under load without a failed request, or changes nothing."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.config.loading import load_config
from services.releases.staging import ReleaseFolder
from tests.pipelines import SPLIT, bias_of, make_pipeline, merged
from tests.services.processes import ROOT, load, served
from tests.services.releasing import write_shifted
from tests.services.servers import ask, http_request, rank_request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
TWO_REPLICAS: Mapping[str, Any] = {"units": {"main": {"replicas": 2}}}


class Commands:
    """Runs `rankway release` as an operator would."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = load_config(home / "pipeline.yaml")
        self.folder = ReleaseFolder(home, self.config.name)

    def release(self, *arguments: str, status: int = 0) -> str:
        """Run ``rankway release``, and return its output and its error output."""
        command, *rest = arguments
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "release", command, str(self.home / "pipeline.yaml"), *rest],
            cwd=ROOT,
            env={**os.environ, "RANKWAY_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def stage(self, offset: float) -> str:
        """Write a ranker with shifted scores over the present one, as training would, and stage it."""
        write_shifted(self.home / "model", offset)
        return self.release("stage").split()[0]


def score_of(port: int) -> float:
    reply = ask(port, rank_request({"user_id": "u5", "candidates": ["item-0000"], "deadline_ms": 20_000}))
    assert reply.status == 200, reply.body
    return float(reply.json["items"][0]["score"])


@pytest.mark.parametrize(
    "changes", [TWO_REPLICAS, merged(SPLIT, TWO_REPLICAS)], ids=["two replicas", "ranker apart"]
)
def test_no_request_fails_during_swaps_failed_loads_and_a_rollback(
    tmp_path: Path, changes: Mapping[str, Any]
) -> None:
    with served(tmp_path, changes) as service:
        commands = Commands(tmp_path)
        first = commands.release("stage").split()[0]
        with load(service.port) as clients:
            clients.wait_for(200)
            assert "in all replicas" in commands.release("activate", first)
            clients.wait_for(200)
            broken = commands.stage(float("nan"))
            output = commands.release("activate", broken, status=1)
            assert f"release {broken} was not activated, so {first} stays active" in output
            assert "scores must be finite" in output
            health = ask(service.port, http_request("GET", "/readyz")).json
            assert (health["release"], health["loaded"]) == (first, [first])
            assert health["failed"]["release"] == broken
            assert "scores must be finite" in health["failed"]["why"]
            other = commands.stage(0.0)
            assert other != first
            commands.release("activate")
            clients.wait_for(200)
            commands.release("rollback")
            clients.wait_for(200)
        assert clients.wrong == []
        assert set(clients.statuses) == {200}
        shifted = commands.stage(0.5)
        commands.release("activate", shifted)
        assert {score_of(service.port) for _ in range(20)} == {bias_of(5) + 0.5}
        assert commands.folder.history.names() == [first, shifted]
        listed = commands.release("list")
        assert f"* {shifted}" in listed
        health = ask(service.port, http_request("GET", "/readyz")).json
        assert (health["loaded"], health["failed"]) == ([shifted], None)
        victim = service.replicas("main")[0]
        victim.kill()
        victim.wait(30)
        assert {score_of(service.port) for _ in range(20)} == {bias_of(5) + 0.5}
    assert not (tmp_path / "small" / "cluster.txt").exists()


def test_the_next_service_starts_with_a_release_activated_without_one(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    commands = Commands(tmp_path)
    name = commands.stage(0.25)
    assert "no service is running now" in commands.release("activate")
    assert commands.folder.history.active() == name
    assert "cannot roll back: no staged release was active before" in commands.release("rollback", status=1)
    assert f"* {name}" in commands.release("list")
