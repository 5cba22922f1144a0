"""A service under overload: its answers, its refusals and their latency, and its recovery.

    python -m benchmarks.overload [--workload walks-1000] [--repeats 3] [--json]

Each repeat starts the service again. The peak under a closed loop is called the capacity. Then open loops send Poisson
arrivals at multiples of the capacity. A tenth of the requests have a higher priority. After each open loop, half the
capacity is offered for some seconds, to see when the service has recovered. The client is one process on the same
cores. Its CPU and its sending delay are reported, because a request that the client could not send was not offered. The
default workload has a heavy model. With the light model (dlrm) the capacity is so high that an HTTP server on the
client's cores could not even refuse ten times as many requests.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cases import dlrm
from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.connections import health_request, http_request
from benchmarks.harness.load import run_closed, run_open
from benchmarks.harness.meters.processes import core_seconds_by_role
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.overload_figures import recovery_s, summary, undegraded_again_s, verdict
from benchmarks.harness.quiet import say
from benchmarks.harness.results import Answered
from benchmarks.harness.servers import Server, service
from services.paths import home_directory

_HOST, _PATH = "127.0.0.1", "/v1/rank"
_CONNECTIONS = 1024
_CLIENTS = 16
_HIGH, _HIGH_EVERY = 5, 10
_NORMAL_SHARE = 0.5
_SAMPLE_PERIOD_S = 0.2


def requests_of(workload: Workload, port: int) -> list[bytes]:
    """Return the requests. Every tenth has a higher priority, which its request id and its answer show."""
    requests = []
    for index, body in enumerate(workload.bodies()):
        high = index % _HIGH_EVERY == 0
        document = {**json.loads(body), "priority": _HIGH} if high else json.loads(body)
        request = http_request(f"{_HOST}:{port}", _PATH, json.dumps(document).encode())
        name = b"high" if high else b"low"
        requests.append(request.replace(b"\r\n\r\n", b"\r\nx-request-id: %s\r\n\r\n" % name, 1))
    return requests


def measure(server: Server, workload: Workload, multiples: Sequence[float], seconds: float) -> dict[str, Any]:
    """Measure one service: first its peak, then all multiples of the peak."""
    requests = requests_of(workload, server.port)
    deadline_s = workload.pipeline().requests.default_deadline_ms / 1e3
    run_closed(_HOST, server.port, ClosedLoop(requests, clients=_CLIENTS, duration_s=2.0))
    closed = ClosedLoop(requests, clients=_CLIENTS, duration_s=seconds)
    run_closed(_HOST, server.port, closed)
    peak = summary(closed.answers, seconds, deadline_s)
    capacity_rps = peak["goodput_rps"]
    normal = _open(server, requests, _NORMAL_SHARE * capacity_rps, 2 * seconds, deadline_s)[0]
    figures: dict[str, Any] = {"closed": peak, "normal": normal, "multiples": {}}
    for multiple in multiples:
        with resident_bytes(server) as resident:
            burst, _ = _open(server, requests, multiple * capacity_rps, seconds, deadline_s)
            end_s = time.perf_counter()
            after, answers = _open(server, requests, _NORMAL_SHARE * capacity_rps, 2 * seconds, deadline_s)
        burst["recovery_s"] = recovery_s(answers, end_s, normal["good_p99_ms"])
        burst["undegraded_again_s"] = undegraded_again_s(answers, end_s)
        burst["after_p99_ms"] = after["good_p99_ms"]
        burst["replicas_rss_mib"] = {
            name: round(size / 2**20)
            for name, size in (("before", resident[0]), ("most", max(resident)), ("after", resident[-1]))
        }
        figures["multiples"][f"{multiple:g}"] = burst
        say(f"  {multiple:g}x: {json.dumps(burst)}")
    return figures


def _open(
    server: Server, requests: Sequence[bytes], rate: float, seconds: float, deadline_s: float
) -> tuple[dict[str, Any], list[Answered]]:
    loop = OpenLoop(requests, rate, seconds, connections=_CONNECTIONS, prime=health_request(_HOST))
    before = server.meter.read()
    result = run_open(_HOST, server.port, loop)
    used_s = core_seconds_by_role(before, server.meter.read())
    answered = max(1, loop.answered)
    return {
        "offered_rps": rate,
        "answered": loop.answered,
        **summary(loop.answers, seconds, deadline_s),
        "errors": result.errors,
        "missed": result.missed,
        "send_lag_p99_ms": result.send_lag_p99_ms,
        "client_cores": result.client_core_ms * result.requests / 1e3 / result.window_s,
        "core_ms": {role: round(spent_s * 1e3 / answered, 3) for role, spent_s in used_s.items() if spent_s},
    }, loop.answers


@contextmanager
def resident_bytes(server: Server) -> Iterator[list[int]]:
    """Yield samples of the replicas' total resident memory in bytes, at least two, taken until the block ends."""
    pids = [pid for pid, process in server.meter.read().items() if process.role.startswith("replica")]
    samples, stop = [_resident_bytes(pids)], threading.Event()

    def sample() -> None:
        while not stop.wait(_SAMPLE_PERIOD_S):
            samples.append(_resident_bytes(pids))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()
        samples.append(_resident_bytes(pids))


def _resident_bytes(pids: Sequence[int]) -> int:
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.overload", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--workload", choices=sorted(WORKLOADS), action="append", help="workload to measure. May be repeated"
    )
    parser.add_argument(
        "--multiples",
        default="1,2,5,10",
        help="loads to send, as multiples of the capacity. The claim is about the largest",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a burst in seconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    multiples = [float(multiple) for multiple in options.multiples.split(",")]
    home = home_directory()
    results: dict[str, Any] = {}
    for name in options.workload or ["walks-1000"]:
        workload = WORKLOADS[name]
        if name in dlrm.PIPELINES:
            dlrm.build_if_missing(home)
        repeats = []
        for repeat in range(options.repeats):
            say(f"{name}: repeat {repeat + 1} of {options.repeats}")
            with (
                workload.config_file({"requests": {"max_priority": _HIGH}}) as config,
                service(config) as server,
            ):
                repeats.append(measure(server, workload, multiples, options.seconds))
        results[name] = {"verdict": verdict(repeats), "repeats": repeats}
        if not options.json:
            _print(name, results[name]["verdict"])
    if options.json:
        json.dump(results, sys.stdout, indent=2)
        sys.stdout.write("\n")
    return 0


def _print(name: str, figures: Mapping[str, Mapping[str, float]]) -> None:
    sys.stdout.write(f"{name}\n")
    for figure, values in figures.items():
        sys.stdout.write(
            f"  {figure}: {values['median']:.2f} ({values['least']:.2f} to {values['most']:.2f})\n"
        )


if __name__ == "__main__":
    sys.exit(main())
