"""Hostile callers: how much goodput well-behaved callers lose on a service that hostile callers use too.

    python -m benchmarks.hostile [--workload walks-200] [--caller deadline-2] [--repeats 3] [--json]

Eight well-behaved clients send a request, wait for its answer, and pause for 20 ms. Eight hostile clients do the same
with a pause of 5 ms, and request something that no caller should get at others' expense. In each repeat and for each
kind of hostile caller, the well-behaved clients run alone and then next to the hostile clients, on one service. The
report has the well-behaved clients' goodput (answers within the deadline per second) and the undegraded share of their
requests, and how much of both remains next to hostile clients. All clients are one process on the service's cores.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import uvloop

from benchmarks.cases import dlrm
from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.connections import http_request
from benchmarks.harness.results import Answered
from benchmarks.harness.servers import Server, service
from services.paths import home_directory

CALLERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "deadline-2": {"deadline_ms": 2},
        "deadline-20": {"deadline_ms": 20},
        "deadline-cap": {"deadline_ms": 5_000},
        "deadline-60000": {"deadline_ms": 60_000},
        "priority-100": {"priority": 100},
        "priority--10": {"priority": -10},
    }
)
"""The hostile callers: the fields that each adds to its requests."""
_HOST, _PATH = "127.0.0.1", "/v1/rank"
_CLIENTS = 8
_PAUSE_S, _HOSTILE_PAUSE_S = 0.02, 0.005
_WARM_S = 1.0
_KEPT = 0.9


def requests_of(workload: Workload, port: int, added: Mapping[str, Any]) -> list[bytes]:
    """Return the workload's requests with a caller's additional fields."""
    return [
        http_request(f"{_HOST}:{port}", _PATH, json.dumps({**json.loads(body), **added}).encode())
        for body in workload.bodies()
    ]


def summary(answers: Sequence[Answered], window_s: float, deadline_s: float) -> dict[str, Any]:
    """Return one client group's goodput, undegraded share, latencies and outcomes."""
    latencies_s: list[float] = []
    outcomes: Counter[str] = Counter()
    good = 0
    for answer in answers:
        status, latency_s = int(answer.data[9:12]), answer.answered_s - answer.started_s
        latencies_s.append(latency_s)
        if status == 200:
            good += latency_s <= deadline_s
            outcomes[json.loads(answer.data.partition(b"\r\n\r\n")[2])["degraded"] or "undegraded"] += 1
        else:
            outcomes[str(status)] += 1
    return {
        "requests": len(answers),
        "goodput_rps": good / window_s,
        "undegraded_share": outcomes["undegraded"] / max(1, len(answers)),
        "p50_ms": float(np.percentile(latencies_s, 50) * 1e3) if latencies_s else None,
        "p99_ms": float(np.percentile(latencies_s, 99) * 1e3) if latencies_s else None,
        "outcomes": dict(outcomes.most_common()),
    }


def load(server: Server, workload: Workload, caller: str | None, seconds: float) -> dict[str, Any]:
    """Run the well-behaved clients for `seconds`, and also hostile clients if `caller` names a kind."""
    deadline_s = workload.pipeline().requests.default_deadline_ms / 1e3

    def clients(added: Mapping[str, Any], pause_s: float) -> ClosedLoop:
        return ClosedLoop(
            requests_of(workload, server.port, added),
            clients=_CLIENTS,
            duration_s=seconds,
            warm_s=_WARM_S,
            pause_s=pause_s,
        )

    loops = {"well-behaved": clients({}, _PAUSE_S)}
    if caller is not None:
        loops["hostile"] = clients(CALLERS[caller], _HOSTILE_PAUSE_S)

    async def run() -> None:
        await asyncio.gather(*[loop.run(_HOST, server.port) for loop in loops.values()])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return {name: summary(loop.answers, seconds, deadline_s) for name, loop in loops.items()}


def kept(alone: Mapping[str, Any], mixed: Mapping[str, Any]) -> dict[str, float]:
    """Return how much of their goodput and undegraded share the well-behaved clients keep, 0 to 1."""
    return {
        figure: mixed["well-behaved"][figure] / max(1e-9, alone["well-behaved"][figure])
        for figure in ("goodput_rps", "undegraded_share")
    }


def measure(workload: Workload, callers: Sequence[str], repeats: int, seconds: float) -> dict[str, Any]:
    """Measure one service with each kind of hostile caller, several times."""
    results: dict[str, Any] = {caller: {"repeats": []} for caller in callers}
    with workload.config_file() as config, service(config) as server:
        load(server, workload, None, seconds)
        for repeat in range(repeats):
            for caller in callers:
                alone = load(server, workload, None, seconds)
                mixed = load(server, workload, caller, seconds)
                shares = kept(alone, mixed)
                sys.stderr.write(f"{workload.name}: {caller}, {repeat + 1} of {repeats}: kept {shares}\n")
                results[caller]["repeats"].append({"alone": alone, "beside": mixed, "kept": shares})
    for each in results.values():
        for figure in ("goodput_rps", "undegraded_share"):
            values = [repeat["kept"][figure] for repeat in each["repeats"]]
            each[figure] = {"median": float(np.median(values)), "least": min(values), "most": max(values)}
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Return 1 if the well-behaved clients keep less than 90%."""
    parser = argparse.ArgumentParser(prog="benchmarks.hostile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-200")
    parser.add_argument(
        "--caller",
        choices=sorted(CALLERS),
        action="append",
        help="hostile caller to measure. May be repeated. Default: all",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a measuring window in seconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    workload, home = WORKLOADS[options.workload], home_directory()
    if workload.name in dlrm.PIPELINES:
        dlrm.build_if_missing(home)
    results = measure(workload, options.caller or list(CALLERS), options.repeats, options.seconds)
    if options.json:
        json.dump(results, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for caller, each in results.items():
            for figure in ("goodput_rps", "undegraded_share"):
                shares = each[figure]
                sys.stdout.write(
                    f"{caller:15} keeps {shares['median']:.2f} ({shares['least']:.2f} to {shares['most']:.2f}) "
                    f"of {figure}\n"
                )
    return int(
        any(
            each[f]["median"] < _KEPT
            for each in results.values()
            for f in ("goodput_rps", "undegraded_share")
        )
    )


if __name__ == "__main__":
    sys.exit(main())
