"""A service offered more than it can do: what it answers, what it refuses and how soon, and when it is well again.

    python -m benchmarks.overload [--workload walks-1000] [--repeats 3] [--json]

Each repeat starts the service anew. First the closed loop's peak, which is called its capacity; then open loops of
Poisson arrivals at multiples of it, a tenth of the requests with a higher priority; each is followed by half the
capacity for some seconds, which say when the service had recovered. The client is one process on
the same cores: its CPU and how late it sent are told, for what it could not send was not offered. Ten times
a light model's capacity (dlrm) is more than an HTTP server on the client's cores can even refuse, so not the default.
"""

import argparse
import json
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import dlrm
from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.connections import health_request, http_request
from benchmarks.harness.load import run_closed, run_open
from benchmarks.harness.meters.processes import core_seconds_by_role
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.results import Answered
from benchmarks.harness.servers import Server, service
from services.paths import home_directory

_HOST, _PATH = "127.0.0.1", "/v1/rank"
_CONNECTIONS = 1024
_CLIENTS = 16
_HIGH, _HIGH_EVERY = 5, 10
_NORMAL_SHARE = 0.5
_RECOVERED = 1.5
"""Normal again is a p99 of at most this many times that before the burst."""
_UNDEGRADED = 0.99
_SAMPLE_PERIOD_S = 0.2


def requests_of(workload: Workload, port: int) -> list[bytes]:
    """Give the requests; every tenth has a higher priority. Answers repeat their id, which says which."""
    requests = []
    for index, body in enumerate(workload.bodies()):
        high = index % _HIGH_EVERY == 0
        document = {**json.loads(body), "priority": _HIGH} if high else json.loads(body)
        request = http_request(f"{_HOST}:{port}", _PATH, json.dumps(document).encode())
        name = b"high" if high else b"low"
        requests.append(request.replace(b"\r\n\r\n", b"\r\nx-request-id: %s\r\n\r\n" % name, 1))
    return requests


def summary(answers: Sequence[Answered], window_s: float, deadline_s: float = math.inf) -> dict[str, Any]:
    """Return the goodput, by rung and by priority, and the latencies of answers and refusals.

    An answer after the deadline, from the scheduled time of its request, is none: it counts as "late".
    """
    good: list[float] = []
    refused: list[float] = []
    rungs: Counter[str] = Counter()
    by_priority: dict[str, Counter[str]] = {"high": Counter(), "low": Counter()}
    other: Counter[str] = Counter()
    for answer in answers:
        status, latency_s = int(answer.data[9:12]), answer.answered_s - answer.started_s
        counts = by_priority["high" if b"x-request-id: high" in answer.data else "low"]
        if status == 200 and latency_s > deadline_s:
            other["late"] += 1
        elif status == 200:
            good.append(latency_s)
            degraded = json.loads(answer.data.partition(b"\r\n\r\n")[2])["degraded"] or "whole"
            rungs[degraded] += 1
            counts["whole" if degraded == "whole" else "less"] += 1
        elif status == 429:
            refused.append(latency_s)
            counts["refused"] += 1
        else:
            other[str(status)] += 1
    return {
        "goodput_rps": len(good) / window_s,
        "whole_rps": rungs["whole"] / window_s,
        "undegraded_share": rungs["whole"] / max(1, len(answers)),
        "refused_rps": len(refused) / window_s,
        "other_statuses": dict(other),
        "good_p50_ms": _percentile_ms(good, 50),
        "good_p99_ms": _percentile_ms(good, 99),
        "refused_p99_ms": _percentile_ms(refused, 99),
        "rungs": dict(rungs.most_common()),
        "priorities": {name: dict(counts) for name, counts in by_priority.items()},
    }


def recovery_s(answers: Sequence[Answered], burst_end_s: float, normal_p99_ms: float) -> float | None:
    """Give the seconds after the burst from which on the p99 of all that follows is normal; None when never."""
    ages_s = np.array([answer.started_s - burst_end_s for answer in answers])
    latencies_s = np.array([answer.answered_s - answer.started_s for answer in answers])
    for second in range(int(ages_s.max(initial=0)) + 1):
        if _percentile_ms(latencies_s[ages_s >= second].tolist(), 99) <= _RECOVERED * normal_p99_ms:
            return float(second)
    return None


def undegraded_again_s(answers: Sequence[Answered], burst_end_s: float) -> float | None:
    """Return the seconds after the burst from which on 99% of all that follows is undegraded; None if never."""
    ages_s = np.array([answer.started_s - burst_end_s for answer in answers])
    whole = np.array([_is_undegraded(answer.data) for answer in answers])
    for second in range(int(ages_s.max(initial=0)) + 1):
        if whole[ages_s >= second].mean() >= _UNDEGRADED:
            return float(second)
    return None


def _is_undegraded(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head[9:12] == b"200" and json.loads(body)["degraded"] is None


def measure(server: Server, workload: Workload, multiples: Sequence[float], seconds: float) -> dict[str, Any]:
    """Measure one service from its peak through all multiples."""
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
        _say(f"  {multiple:g}x: {json.dumps(burst)}")
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
    """Give the replicas' resident memory together, sampled meanwhile, in bytes; at least first and last."""
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


def _percentile_ms(latencies_s: Sequence[float], share: float) -> float:
    return float(np.percentile(latencies_s, share) * 1e3) if latencies_s else float("nan")


def verdict(repeats: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Give median, least and most over the repeats of what is claimed: at the largest multiple, and its ratios."""

    def spread(values: Sequence[float]) -> dict[str, float]:
        return {"median": float(np.median(values)), "least": min(values), "most": max(values)}

    largest = max(repeats[0]["multiples"], key=float)
    bursts = [repeat["multiples"][largest] for repeat in repeats]
    peaks = [
        max(repeat["closed"]["goodput_rps"], *(m["goodput_rps"] for m in repeat["multiples"].values()))
        for repeat in repeats
    ]
    figures = {
        "capacity_rps": [repeat["closed"]["goodput_rps"] for repeat in repeats],
        "peak_goodput_rps": peaks,
        "goodput_rps": [burst["goodput_rps"] for burst in bursts],
        "undegraded_share": [burst["undegraded_share"] for burst in bursts],
        "goodput_of_peak": [b["goodput_rps"] / peak for b, peak in zip(bursts, peaks, strict=True)],
        "goodput_of_capacity": [
            b["goodput_rps"] / r["closed"]["goodput_rps"] for b, r in zip(bursts, repeats, strict=True)
        ],
        "refused_p99_ms": [burst["refused_p99_ms"] for burst in bursts],
        "recovery_s": [np.inf if b["recovery_s"] is None else b["recovery_s"] for b in bursts],
        "undegraded_again_s": [
            np.inf if b["undegraded_again_s"] is None else b["undegraded_again_s"] for b in bursts
        ],
        "rss_growth_mib": [b["replicas_rss_mib"]["most"] - b["replicas_rss_mib"]["before"] for b in bursts],
        "client_cores": [burst["client_cores"] for burst in bursts],
        "send_lag_p99_ms": [burst["send_lag_p99_ms"] for burst in bursts],
    }
    return {name: spread(values) for name, values in figures.items()}


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.overload", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", choices=sorted(WORKLOADS), action="append", help="may repeat")
    parser.add_argument("--multiples", default="1,2,5,10", help="of the capacity; the last is the claim's")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="a burst")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    multiples = [float(multiple) for multiple in options.multiples.split(",")]
    home = home_directory()
    results: dict[str, Any] = {}
    for name in options.workload or ["walks-1000"]:
        workload = WORKLOADS[name]
        if name in dlrm.PIPELINES and not dlrm.is_built(home):
            dlrm.build(home, rows=100_000, items=20_000, users=20_000)
        repeats = []
        for repeat in range(options.repeats):
            _say(f"{name}: repeat {repeat + 1} of {options.repeats}")
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
