"""Autoscaling of a real service: ``rankway serve`` on a local Ray."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines import SPLIT, make_pipeline, merged
from tests.services.processes import ServiceProcess, free_port, load, served, started
from tests.services.redeploying import READY
from tests.services.servers import ask, http_request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
LIMIT_S = 60.0
QUICK: dict[str, Any] = {
    "policy": {
        "kind": "target_ongoing",
        "target_ongoing_requests": 0.5,
        "look_back_period_s": 3,
        "upscale_delay_s": 0,
        "downscale_delay_s": 2,
    },
    "p99_ms": 100,
    "decision_interval_s": 1,
}
ONE_UNIT: Mapping[str, Any] = {
    "autoscaling": QUICK | {"bounds": {"main": {"max_replicas": 3}}},
    "units": {"main": {"cpus": 0.2}},
}
RANKER_APART: Mapping[str, Any] = merged(
    SPLIT,
    {
        "autoscaling": QUICK | {"bounds": {"main": {"max_replicas": 1}, "scorer": {"max_replicas": 2}}},
        "units": {"main": {"cpus": 0.2}, "scorer": {"cpus": 0.2}},
    },
)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds. It is polled, because processes start and stop without a notice."""
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, f"{what} within {LIMIT_S:.0f} s"
        time.sleep(0.25)


def running(service: ServiceProcess, unit: str) -> int:
    return len(service.replicas(unit))


@pytest.mark.parametrize(
    ("changes", "unit", "most"), [(ONE_UNIT, "main", 3), (RANKER_APART, "scorer", 2)], ids=["one", "split"]
)
def test_number_of_replicas_follows_the_load(
    tmp_path: Path, changes: Mapping[str, Any], unit: str, most: int
) -> None:
    with served(tmp_path, changes) as service:
        assert running(service, unit) == 1
        with load(service.port) as asked:
            wait_for(lambda: running(service, unit) == most, f"{most} replicas of {unit}")
            asked.wait_for(100)
        assert asked.wrong == []
        wait_for(lambda: running(service, unit) == 1, f"one replica of {unit}")


def test_targets_stay_and_updates_apply_under_a_policy_that_always_fails(tmp_path: Path) -> None:
    make_pipeline(tmp_path, merged(ONE_UNIT, {"units": {"main": {"replicas": 2}}}))
    port = free_port()
    with started(["-m", "tests.services.erring", str(tmp_path), str(port)], port, tmp_path) as service:
        service.wait_for(READY)
        assert running(service, "main") == 2
        assert service.process.stdin is not None
        with load(service.port) as asked:
            service.process.stdin.write('{"candidates": {"count": 7}}\n')
            service.process.stdin.flush()
            service.wait_for(READY)
            asked.wait_for(100)
        assert asked.wrong == []
        assert ask(port, http_request("GET", "/readyz")).status == 200
        wait_for(lambda: running(service, "main") == 2, "the two new replicas alone")
