"""Faults in the service's own processes: kill -9 of a replica, after which Ray Serve starts another replica."""

import os
import re
import signal
import time
from collections.abc import Sequence

from benchmarks.harness.results import Answered
from benchmarks.harness.servers import Server
from benchmarks.outages.fault import Fault
from benchmarks.outages.timeline import is_whole

_REPLICA = re.compile(rb"x-request-id: (\S+)-\w+\r\n", re.IGNORECASE)
"""An ingress replica begins its request ids with its own name."""
_QUIET_S = 2.0


def ingress_fault(server: Server, unit: str) -> Fault:
    """Return the fault "an ingress replica dies". A replica that did not answer before it counts as replacement."""

    def replaced(answers: Sequence[Answered], injured_s: float) -> bool:
        old_replicas = {_replica(answer) for answer in answers if answer.answered_s < injured_s}
        # Replicas that were alive before the fault answered before it. Any other replica is new.
        return any(_replica(answer) not in old_replicas for answer in answers[-200:])

    return Fault(
        "ingress-kill",
        "kill -9 of one of the ingress replicas",
        lambda: _kill(server, unit),
        replaced=replaced,
    )


def ranker_fault(server: Server, unit: str) -> Fault:
    """Return the fault "the ranker's only replica dies". It is over once all answers have been whole for 2 s."""

    def replaced(answers: Sequence[Answered], injured_s: float) -> bool:
        since_s = time.perf_counter() - _QUIET_S
        late = [answer for answer in answers[-2000:] if answer.answered_s > since_s]
        return since_s > injured_s and bool(late) and all(map(is_whole, late))

    return Fault(
        "ranker-kill",
        "kill -9 of the ranker unit's only replica",
        lambda: _kill(server, unit),
        replaced=replaced,
    )


def _kill(server: Server, unit: str) -> None:
    processes = server.meter.read().items()
    replicas = [
        pid for pid, process in processes if process.role == "replica" and f":{unit}" in process.command
    ]
    if not replicas:
        raise RuntimeError(f"the service has no replica of unit {unit!r}")
    os.kill(min(replicas), signal.SIGKILL)


def _replica(answer: Answered) -> bytes:
    match = _REPLICA.search(answer.data)
    return match[1] if match is not None else b""
