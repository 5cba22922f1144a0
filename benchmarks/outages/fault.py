"""A fault, and a service under an open loop while it happens."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.harness.connections import health_request, http_request
from benchmarks.harness.load import run_open
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.results import Answered, LoadResult
from benchmarks.harness.servers import Server
from benchmarks.outages.timeline import Moments, Outage, outage_of

_POLL_PERIOD_S = 0.05
_CONNECTIONS = 64

Replaced = Callable[[Sequence[Answered], float], bool]
"""Returns, from the answers so far and the fault's time, whether a replacement has taken over."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that a benchmark causes, with its repair.

    Attributes:
        what: a description for the report.
        injure: causes the fault.
        repair: removes the cause. None if the system has to recover by itself. Then ``replaced`` reports the recovery.
        replaced: returns whether a replacement has taken over.
        notes: returns further figures at the end.
    """

    name: str
    what: str
    injure: Callable[[], None]
    repair: Callable[[], None] | None = None
    replaced: Replaced | None = None
    notes: Callable[[], dict[str, float]] = dict


@dataclass(frozen=True, slots=True)
class Plan:
    """A fault's schedule.

    Attributes:
        rate: requests per second.
        before_s: duration before the fault.
        during_s: duration from the fault to its repair.
        after_s: duration after the repair or the replacement.
        replacing_s: maximum time until a replacement has taken over.
    """

    rate: float
    before_s: float = 4.0
    during_s: float = 4.0
    after_s: float = 6.0
    replacing_s: float = 60.0


def measure_outage(
    fault: Fault, server: Server, bodies: Sequence[bytes], deadline_s: float, plan: Plan
) -> Outage:
    """Load the server, cause the fault, call its ``repair`` if it has one, and return the outage as callers saw it.

    Raises:
        RuntimeError: no replacement took over in time.
    """
    requests = [http_request("127.0.0.1", "/v1/rank", body) for body in bodies]
    longest_s = plan.before_s + plan.during_s + plan.replacing_s + plan.after_s
    loop = OpenLoop(
        requests, plan.rate, longest_s, connections=_CONNECTIONS, prime=health_request("127.0.0.1")
    )
    results: list[LoadResult] = []
    client = threading.Thread(target=lambda: results.append(run_open("127.0.0.1", server.port, loop)))
    client.start()
    try:
        moments = _happens(fault, loop, plan)
        time.sleep(plan.after_s)
    finally:
        loop.stop()
        client.join()
    return outage_of(fault.name, fault.what, loop.answers, results[0], moments, deadline_s, fault.notes())


def _happens(fault: Fault, loop: OpenLoop, plan: Plan) -> Moments:
    time.sleep(plan.before_s)
    injured_s = time.perf_counter()
    fault.injure()
    repaired_s = replaced_s = None
    if fault.repair is not None:
        time.sleep(plan.during_s)
        fault.repair()
        repaired_s = time.perf_counter()
    if fault.replaced is not None:
        while not fault.replaced(loop.answers, injured_s):
            if time.perf_counter() > injured_s + plan.replacing_s:
                raise RuntimeError(f"{fault.name}: no replacement took over within {plan.replacing_s:.0f} s")
            time.sleep(_POLL_PERIOD_S)
        replaced_s = time.perf_counter()
    return Moments(injured_s, repaired_s, replaced_s)
