"""A real service of two units: an ingress passes on as much as its calls in flight allow, as its profiles predict."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autoscale.capacity.sizing import CandidateCapacity, Sizing
from autoscale.profiles import Profile, Timing, write_profile
from autoscale.spec import Key
from services.autoscaling.spec import spec_of
from services.config.loading import load_config
from tests.pipelines import SPLIT, make_pipeline, merged
from tests.services.processes import ServiceProcess, free_port, load, started
from tests.services.redeploying import READY
from tests.services.slow_ranker import RESPONSE_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CANDIDATES = 1
"""The request size that ``tests.services.processes.Load`` sends."""
CHANGES: Mapping[str, Any] = merged(
    SPLIT,
    {
        "candidates": {"count": CANDIDATES},
        "requests": {"default_deadline_ms": 30_000},
        "units": {
            "main": {"batching": {"max_candidates": 2 * CANDIDATES}, "profile": "main.json"},
            "scorer": {"profile": "scorer.json"},
        },
    },
)
ANSWERS = 40


def write_profiles(home: Path) -> None:
    """Write both units' profiles. Calls to the ranker are slow, but all batches are fast."""
    for unit, overhead_ms in (("main", 1.0), ("scorer", 1e3 * RESPONSE_S)):
        once = Timing(requests=1, candidates=CANDIDATES, p50_ms=0.2, p99_ms=0.4, mean_ms=0.2, runs=100)
        profile = Profile(
            unit=unit,
            pool="local",
            machine="a test's",
            timings=(once,),
            startup_s=5.0,
            memory_mib=100.0,
            overhead_ms=overhead_ms,
        )
        write_profile(profile, home / f"{unit}.json")


def capacity_of(home: Path, changes: Mapping[str, Any]) -> CandidateCapacity:
    """Return the capacity that the simulator computes for one ingress replica."""
    write_profiles(home)
    spec = spec_of(load_config(make_pipeline(home, changes)), home)
    return Sizing(spec).capacity(Key("main", "local"), CANDIDATES)


def completed_per_s(service: ServiceProcess, clients: int) -> float:
    """Return the answered candidates per second under more load than the service can answer."""
    with load(service.port, clients) as asked:
        asked.wait_for(2 * clients)
        first, start_s = asked.statuses.total(), time.monotonic()
        asked.wait_for(ANSWERS)
        last, end_s = asked.statuses.total(), time.monotonic()
    assert asked.wrong == []
    return (last - first) * CANDIDATES / (end_s - start_s)


def test_ingress_throughput_is_bounded_by_its_calls_in_flight(tmp_path: Path) -> None:
    limited = capacity_of(tmp_path, CHANGES)
    assert limited.calls is not None
    assert limited.calls.calls == 2
    port = free_port()
    with started(["-m", "tests.services.slow_ranker", str(tmp_path), str(port)], port, tmp_path) as service:
        service.wait_for(READY)
        completed = completed_per_s(service, clients=16)
        # A call takes at least as long as the ranker sleeps. How much longer depends on the machine.
        assert 0.6 * limited.calls.per_s <= completed <= 1.1 * limited.calls.per_s
    print(f"limit {limited.calls.per_s:.1f}, completed {completed:.1f} candidates/s")
