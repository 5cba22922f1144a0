"""A ranker that spills from a CPU pool to a GPU pool and back, on a real Ray with invented GPUs, and simulated."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from autoscale.config import make_policy
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.simulate import simulate
from autoscale.traces.recorded_traffic import RecordedTraffic, files_of, read_traffic, tables_of
from services.autoscaling.spec import spec_of
from services.config.loading import load_config
from tests.services.processes import ROOT, free_port
from tests.services.spilling.pipeline import CPU_MOST, TRAFFIC, make_spilling
from tests.services.spilling.watcher import Report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
GPUS = 2
_TOLERANCE_S = 4.0
"""Live and simulated changes may differ by this much. Decisions are a second apart, and a replica's start varies."""
Change = tuple[float, str, int]
"""Time, pool and new number of replicas of a decision."""


@dataclass(frozen=True)
class Batch:
    """A batch that a ranker replica computed. ``at_s`` is in seconds since 1970."""

    at_s: float
    pool: str
    replica: str
    requests: int


@dataclass
class Spilled:
    """The run, as the watcher saw it and as the service recorded it."""

    home: Path
    report: Report

    @cached_property
    def traffic(self) -> RecordedTraffic:
        """The recorded arrivals and decisions."""
        return read_traffic(self.home / TRAFFIC)

    @cached_property
    def batches(self) -> list[Batch]:
        """The ranker's batches in order of time."""
        rows = [
            row for table in tables_of(files_of(self.home / TRAFFIC), None, None) for row in table.to_pylist()
        ]
        ranked = [row for row in rows if row["kind"] == "batch" and row["unit"] == "scorer"]
        batches = [Batch(row["time_s"], row["pool"], row["source"], row["requests"]) for row in ranked]
        return sorted(batches, key=lambda batch: batch.at_s)

    @cached_property
    def decisions(self) -> list[Change]:
        """The decisions on the ranker, on the trace's clock."""
        return [(d.at_s, d.pool, d.replicas) for d in self.traffic.decisions if d.unit == "scorer"]

    def requests(self, since_s: float, until_s: float) -> dict[str, int]:
        """Return the requests that each pool ranked between two times."""
        counts = {"cpu": 0, "gpu": 0}
        for batch in self.batches:
            counts[batch.pool] += batch.requests * (since_s <= batch.at_s < until_s)
        return counts

    def first_s(self, pool: str, number: int, since_s: float = 0.0) -> float:
        """Return when the target of a pool became ``number``."""
        return next(
            at_s for at_s, seen in self.report.changes if at_s >= since_s and seen["target"][pool] == number
        )


@pytest.fixture(scope="module")
def spilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spilled]:
    """Let the load rise and fall once."""
    home = tmp_path_factory.mktemp("spilling")
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.spilling", str(home), str(free_port()), str(GPUS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    yield Spilled(home, Report(**json.loads(done.stdout.splitlines()[-1])))


def test_only_the_cpu_pool_works_until_it_is_full(spilled: Spilled) -> None:
    spill_s = spilled.first_s("gpu", 1)
    before = [seen for at_s, seen in spilled.report.changes if at_s < spill_s]
    assert before[-1]["target"]["cpu"] == CPU_MOST
    for seen in before:
        assert (seen["target"]["gpu"], seen["alive"]["gpu"], seen["weights"].get("gpu", 0)) == (0, 0, 0)
    answered = spilled.requests(0, spill_s)
    assert answered["cpu"] > 0
    assert answered["gpu"] == 0


def test_calls_move_to_the_gpu_pool_once_its_replicas_are_ready(spilled: Spilled) -> None:
    changes, spill_s = spilled.report.changes, spilled.first_s("gpu", 1)
    ready_s = next(at_s for at_s, seen in changes if seen["ready"]["gpu"])
    moved_s = next(at_s for at_s, seen in changes if seen["weights"].get("gpu", 0) > 0.5)
    assert spill_s < ready_s <= moved_s < spilled.report.marks["fall"]
    assert all(seen["weights"].get("gpu", 0) == 0 for at_s, seen in changes if at_s < ready_s)
    answered = spilled.requests(moved_s + 1, spilled.report.marks["fall"])  # weights are read once a second
    assert answered["gpu"] > answered["cpu"]


def test_calls_return_to_the_cpu_pool_after_the_peak(spilled: Spilled) -> None:
    report = spilled.report
    returned_s = spilled.first_s("gpu", 0, report.marks["fall"])
    assert report.changes[-1][1]["target"] == {"cpu": 1, "gpu": 0}
    assert report.changes[-1][1]["weights"] == {"cpu": 1, "gpu": 0}
    gone_s = next(at_s for at_s, seen in report.changes if at_s > returned_s and not seen["alive"]["gpu"])
    answered = spilled.requests(gone_s, report.marks["end"])
    assert answered["cpu"] >= 30
    assert answered["gpu"] == 0


def test_every_request_is_answered_once_and_correctly(spilled: Spilled) -> None:
    report = spilled.report
    assert report.wrong == []
    assert set(report.statuses) == {"200"}
    arrived = sum(len(chunk.times_s) for chunk in spilled.traffic.trace.arrivals())
    assert report.statuses["200"] == arrived
    ranked = sum(batch.requests for batch in spilled.batches)
    assert arrived <= ranked <= 1.05 * arrived  # the router sends a late call to the other pool, too
    assert spilled.traffic.shed == {}


def test_gpus_are_held_by_the_replicas_of_their_pool_and_released(spilled: Spilled) -> None:
    states = [seen for _, seen in spilled.report.changes]
    assert {seen["gpus"] for seen in states} == {GPUS}
    for seen in states:
        assert seen["free_gpus"] >= GPUS - seen["alive"]["gpu"] - 1  # both are read one after the other
    held = [GPUS - seen["free_gpus"] for seen in states if seen["ready"]["gpu"] == seen["alive"]["gpu"] == 1]
    assert set(held) == {1}
    assert states[0]["free_gpus"] == states[-1]["free_gpus"] == GPUS
    sources = {pool: {b.replica for b in spilled.batches if b.pool == pool} for pool in ("cpu", "gpu")}
    assert not sources["cpu"] & sources["gpu"]


def test_gpu_pool_is_filled_and_emptied_once(spilled: Spilled) -> None:
    decided = [number for _, pool, number in spilled.decisions if pool == "gpu"]
    targets = [number for number, _ in groupby(seen["target"]["gpu"] for _, seen in spilled.report.changes)]
    for numbers in ([0, *decided], targets):
        assert numbers[0] == numbers[-1] == 0
        most = numbers.index(max(numbers))
        assert all(before < after for before, after in pairwise(numbers[: most + 1])), numbers
        assert all(before > after for before, after in pairwise(numbers[most:])), numbers


def test_simulator_spills_and_returns_like_the_service_on_the_recorded_arrivals(spilled: Spilled) -> None:
    live, simulated = turns_of(spilled.decisions), turns_of(changes_of(simulation_of(spilled)))
    assert list(live) == list(simulated) == ["cpu is full", "gpu is used", "gpu is empty"]
    for turn, at_s in live.items():
        assert simulated[turn] == pytest.approx(at_s, abs=_TOLERANCE_S), (turn, live, simulated)


def simulation_of(spilled: Spilled) -> Simulation:
    """Simulate the recorded arrivals, with the time that a GPU replica took to start."""
    changes = spilled.report.changes
    ready_s = next(at_s for at_s, seen in changes if seen["ready"]["gpu"])
    config = load_config(make_spilling(spilled.home / "simulated", ready_s - spilled.first_s("gpu", 1)))
    assert config.autoscaling is not None
    spec = spec_of(config, spilled.home / "simulated")
    origin_s = spilled.traffic.origin_s
    chunks = [(chunk.times_s, chunk.candidates) for chunk in spilled.traffic.trace.arrivals()]
    options = SimulationOptions(
        start_s=changes[0][0] - origin_s,
        end_s=spilled.report.marks["end"] - origin_s,
        control_interval_s=0.5,
        ingress_drain_s=2.0,
        decisions="changes",
    )
    return simulate(spec, make_policy(config.autoscaling, spec), chunks, options)


def changes_of(simulation: Simulation) -> list[Change]:
    """Return the simulated decisions on the ranker."""
    changes, before = [], {"cpu": 1, "gpu": 0}
    for decision in simulation.decisions:
        for pool, number in before.items():
            after = decision.replicas[f"scorer@{pool}"]
            if after != number:
                changes.append((decision.at_s, pool, after))
                before[pool] = after
    return changes


def turns_of(changes: list[Change]) -> dict[str, float]:
    """Return when the CPU pool was first full, and when GPU replicas were first and no longer wanted, in this order."""
    first_s: dict[tuple[str, int], float] = {}
    last_s: dict[tuple[str, int], float] = {}
    for at_s, pool, number in changes:
        first_s.setdefault((pool, number), at_s)
        last_s[pool, number] = at_s
    turns = {
        "cpu is full": first_s["cpu", CPU_MOST],
        "gpu is used": first_s["gpu", 1],
        "gpu is empty": last_s["gpu", 0],
    }
    return dict(sorted(turns.items(), key=lambda turn: turn[1]))
