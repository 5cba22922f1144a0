"""Measures a running service with some numbers of clients, and splits its CPU per request."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from benchmarks.harness.cells import rank_request
from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.load import run_closed
from benchmarks.harness.meters.cpu_window import CpuWindow
from benchmarks.harness.results import LoadResult
from benchmarks.harness.servers import Server
from benchmarks.request_profile.layers import split
from benchmarks.request_profile.samples import Sample, by_layer, recorded
from benchmarks.request_profile.threads import (
    LOOP,
    MODEL,
    REST,
    read_threads,
    roles,
    used_by_process_s,
    used_s,
)

REPLICAS = "replica"
_HOST = "127.0.0.1"
_WARM_CLIENTS = 16
_WARM_S = 2.0
_MAX_WARM_UPS, _LEAST_WARM_S = 5, 0.5
_MIN_US = 0.05  # a process that used less is not listed


@dataclass(frozen=True, slots=True)
class Cell:
    """The figures with one number of clients. CPU is in microseconds per request.

    Attributes:
        foreign_cores: cores that processes other than server and client kept busy. Above 0.15 the cell is disturbed.
        processes: CPU by role. All replicas are one role.
        threads: the replicas' CPU by thread.
        layers: the CPU of each thread by layer.
    """

    clients: int
    rps: float
    p50_ms: float
    foreign_cores: float
    processes: dict[str, float]
    threads: dict[str, float]
    layers: dict[str, dict[str, float]]

    @property
    def total_us(self) -> float:
        """The CPU of all processes."""
        return sum(self.processes.values())


class Profiler:
    """A service's replicas and their threads, found while the service is warmed up."""

    def __init__(self, server: Server, bodies: Sequence[bytes], *, sampled: bool) -> None:
        """Warm the service up.

        Args:
            server: the service.
            bodies: the requests' bodies, sent in turn.
            sampled: whether to sample layers with perf.

        Raises:
            RuntimeError: a replica got too little load.
        """
        self._server, self._sampled = server, sampled
        self._requests = [rank_request(f"{_HOST}:{server.port}", body) for body in bodies]
        processes = server.meter.read().items()
        self._replicas = [pid for pid, process in processes if process.role.startswith(REPLICAS)]
        self._roles = self._warmed()

    def _warmed(self) -> dict[int, str]:
        """Load the service until all replicas are busy, and return their threads' roles.

        Serve's own proxy answers in the first seconds after a start. An idle replica's threads cannot be told apart.
        """
        for _ in range(_MAX_WARM_UPS):
            before = read_threads(self._replicas)
            self._load(_WARM_CLIENTS, _WARM_S)
            after = read_threads(self._replicas)
            least_s = min(used_by_process_s(before, after).values())
            if least_s >= _LEAST_WARM_S:
                return roles(before, after)
        raise RuntimeError(
            f"a replica used {least_s:.2f} s of CPU under load for {_WARM_S:g} s, too little to tell its threads "
            f"apart; end other programs and start again"
        )

    def cell(self, clients: int, seconds: float) -> Cell:
        """Measure CPU in one window, then layers in another, because perf costs CPU itself."""
        window, threads = CpuWindow(self._server.meter), read_threads(self._replicas)
        loop, result = self._load(clients, seconds)
        after, used = read_threads(self._replicas), window.end()
        us = 1e6 / max(1, loop.answered)
        by_thread = dict.fromkeys((LOOP, MODEL, REST), 0.0)
        for tid, spent_s in used_s(threads, after).items():
            by_thread[self._roles.get(tid, REST)] += spent_s * us
        counts = self._counts(clients, seconds)
        return Cell(
            clients=clients,
            rps=result.rps,
            p50_ms=result.p50_ms,
            foreign_cores=used.foreign_cores,
            processes=_merged({role: spent_s * us for role, spent_s in used.by_role.items()}, by_thread),
            threads=by_thread,
            layers={name: split(spent_us, counts[name]) for name, spent_us in by_thread.items()},
        )

    def _counts(self, clients: int, seconds: float) -> dict[str, Counter[str]]:
        """Return the number of samples by thread and layer."""
        counts: dict[str, Counter[str]] = {LOOP: Counter(), MODEL: Counter(), REST: Counter()}
        recording = recorded(self._replicas, seconds) if self._sampled else nullcontext(list[Sample]())
        with recording as samples:
            if self._sampled:
                self._load(clients, seconds)
        for tid, layers in by_layer(samples).items():
            counts[self._roles.get(tid, REST)] += layers
        return counts

    def _load(self, clients: int, seconds: float) -> tuple[ClosedLoop, LoadResult]:
        loop = ClosedLoop(self._requests, clients=clients, duration_s=seconds)
        return loop, run_closed(_HOST, self._server.port, loop)


def _merged(processes: Mapping[str, float], threads: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU by process, the largest first, with one entry for all replicas: the sum of their threads.

    The kernel counts a thread's CPU in nanoseconds, and a process's CPU in ticks.
    """
    others = {role: us for role, us in processes.items() if not role.startswith(REPLICAS) and us >= _MIN_US}
    merged = {REPLICAS: sum(threads.values()), **others}
    return dict(sorted(merged.items(), key=lambda item: -item[1]))
