"""Releases swapped under load: errors, p99 during the swaps over p99 before, and memory growth.

    python -m benchmarks.releases [--workload walks-200] [--swaps 20] [--json]

A service under an open loop at half its peak alternates between two releases. The releases' rankers are the same model
in two artifacts, so that only the swap can make a difference. The last swap is a rollback. With ``--changed all``, the
catalogue and all models are also copies. The releases lie in a temporary home. A process that joined the cluster before
makes the swaps. ``rankway release`` does the same, but starts Ray first.

A swap lasts from the command to the last replica's report. It is compared with an equally long window right before the
swap. Swap and window form a pair, because a slow phase of the machine that lasts for seconds affects both. A pair is
disturbed if other processes took more than a tenth of a core. Disturbed pairs are counted and left out of p99. Errors
always count.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from benchmarks.cases.staged_releases import stage_two
from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.connections import health_request, http_request
from benchmarks.harness.load import run_closed, run_open
from benchmarks.harness.meters.processes import others_busy_s
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.results import Answered, LoadResult, percentiles_ms
from benchmarks.harness.servers import Server, service
from services.config.loading import load_config
from services.releases.staging import ReleaseFolder

_HOST = "127.0.0.1"
_PEAK_CLIENTS = 32
_LONGEST_S = 900.0
_DISTURBED = 0.1
"""A pair is disturbed if other processes took more than this number of cores."""
_AFTER_S = 0.5
"""Seconds between a swap and the window before the next one."""
_MEMORY_EVERY = 4
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Swapped:
    """A run's figures.

    Attributes:
        failed_swaps: the errors of failed swaps.
        swap_s: seconds per swap, until its last replica.
        disturbed: how many pairs are left out. If all pairs are disturbed, all are used.
        p99_before_ms: p99 in the windows before the swaps, over the undisturbed pairs.
        p99_in_swaps_ms: p99 in the swaps, over the undisturbed pairs.
        p99_ratio: the median of p99_ratios.
        p99_ratios: one ratio per undisturbed pair.
        others_cores: cores taken by other processes during each pair.
        rss_mib: all replicas' memory, by swap count.
    """

    workload: str
    peak_rps: float
    rate_rps: float
    load: dict[str, Any]
    swaps: int
    failed_swaps: list[str]
    swap_s: list[float]
    errors: int
    p99_before_ms: float
    p99_in_swaps_ms: float
    p99_ratio: float
    p99_ratios: list[float]
    disturbed: int
    others_cores: list[float]
    rss_mib: dict[int, float]


def measure(workload: Workload, swaps: int, seconds: float, *, all_changed: bool = False) -> Swapped:
    """Start the service, put it under load, swap releases and roll back.

    Raises:
        RuntimeError: data or models are missing, or the service did not start.
    """
    with tempfile.TemporaryDirectory(prefix="rankway-benchmark-") as folder:
        home = Path(folder)
        config, names = stage_two(workload, home, all_changed=all_changed)
        with service(config, {"RANKWAY_HOME": folder}) as server:
            requests = [http_request(_HOST, "/v1/rank", body) for body in workload.bodies()]
            run_closed(_HOST, server.port, ClosedLoop(requests, clients=8, duration_s=2.0))
            peak = run_closed(
                _HOST, server.port, ClosedLoop(requests, clients=_PEAK_CLIENTS, duration_s=seconds)
            ).rps
            return _swap_under_load(workload, server, config, names, requests, swaps, peak)


def _swap_under_load(
    workload: Workload,
    server: Server,
    config: Path,
    names: list[str],
    requests: Sequence[bytes],
    swaps: int,
    peak: float,
) -> Swapped:
    pipe, swapper_pipe = multiprocessing.Pipe()
    swapper = multiprocessing.get_context("spawn").Process(
        target=activate_on_request, args=(swapper_pipe, config, config.parent), daemon=True
    )
    swapper.start()
    swapper_pipe.close()  # only the swapper has this end open, so ``recv`` fails if the swapper dies
    loop = OpenLoop(requests, peak / 2, _LONGEST_S, seed=1, prime=health_request(_HOST))
    results: list[LoadResult] = []
    thread = threading.Thread(target=lambda: results.append(run_open(_HOST, server.port, loop)), daemon=True)
    spans, faults, rss_mib = list[Span](), list[str](), dict[int, float]()
    others_cores = list[float]()
    longest_s = 1.0
    try:
        assert pipe.recv() == "joined"
        thread.start()
        while not loop.answered:
            time.sleep(0.01)
        ours_pids = [os.getpid(), swapper.pid or 0, *server.meter.read()]
        for number in range(swaps + 1):
            if number % _MEMORY_EVERY == 0:
                rss_mib[number] = _rss_bytes(server) / 2**20
            readings = [_others(ours_pids)]
            time.sleep(_AFTER_S + longest_s)
            readings.append(_others(ours_pids))
            started_s = time.perf_counter()
            pipe.send(names[number % 2] if number < swaps else None)
            fault = pipe.recv()
            if fault is not None:
                faults.append(fault)
            spans.append((started_s, time.perf_counter()))
            readings.append(_others(ours_pids))
            others_cores.append(max(_cores_between(*two) for two in itertools.pairwise(readings)))
            longest_s = max(end_s - start_s for start_s, end_s in spans)
        time.sleep(1.0)
        rss_mib[swaps + 1] = _rss_bytes(server) / 2**20
        loop.stop()
        thread.join(30)
    finally:
        swapper.kill()
        swapper.join()
    load = results[0]
    quiet = [span for span, cores in zip(spans, others_cores, strict=True) if cores <= _DISTURBED]
    before_ms, in_swaps_ms, ratios = p99_by_pair(quiet or spans, spans, loop.answers)
    return Swapped(
        workload=workload.name,
        peak_rps=peak,
        rate_rps=peak / 2,
        load=load.as_dict(),
        swaps=len(spans),
        failed_swaps=faults,
        swap_s=[round(end_s - start_s, 2) for start_s, end_s in spans],
        errors=load.errors + load.missed + sum(n for s, n in load.statuses.items() if s != "200"),
        p99_before_ms=before_ms,
        p99_in_swaps_ms=in_swaps_ms,
        p99_ratio=statistics.median(ratios),
        p99_ratios=ratios,
        disturbed=len(spans) - len(quiet),
        others_cores=[round(cores, 2) for cores in others_cores],
        rss_mib=rss_mib,
    )


def activate_on_request(pipe: Pipe, config: Path, home: Path) -> None:
    """Join the service's cluster, then activate each release that arrives in the pipe. None means a rollback."""
    from services.deployment.discovery import connect_to_service
    from services.releases.rollout import Rollout

    pipeline = load_config(config)
    folder = ReleaseFolder(home, pipeline.name)
    with connect_to_service(pipeline, home) as is_running:
        assert is_running, "the service has not recorded its cluster"
        rollout = Rollout(pipeline, folder, lambda _text: None)
        rollout.statuses()
        pipe.send("joined")
        while True:
            request = pipe.recv()
            try:
                name = request or folder.history.previous()
                rollout.activate(name, is_rollback=request is None)
                pipe.send(None)
            except Exception as error:  # reported to the measuring process
                pipe.send(str(error))


def _latencies_in(spans: Sequence[Span], answers: Sequence[Answered]) -> list[float]:
    """Return the latencies of requests that were in progress during any span."""
    return [
        answer.answered_s - answer.started_s
        for answer in answers
        if any(answer.answered_s >= start_s and answer.started_s <= end_s for start_s, end_s in spans)
    ]


def p99_by_pair(
    pairs: Sequence[Span], swaps: Sequence[Span], answers: Sequence[Answered]
) -> tuple[float, float, list[float]]:
    """Return p99 in ms before and during the swaps, and the ratio for each pair.

    A pair is a swap and the equally long window before it.

    Args:
        pairs: the swaps to compare with the windows before them.
        swaps: all swaps.
        answers: the whole run's answers.
    """
    # An answer that came during a swap counts for that swap alone.
    begun = [answer for answer in answers if not any(s <= answer.answered_s <= e for s, e in swaps)]
    before = [_latencies_in([(2 * start_s - end_s, start_s)], begun) for start_s, end_s in pairs]
    within = [_latencies_in([span], answers) for span in pairs]
    ratios = [percentiles_ms(w)[1] / percentiles_ms(b)[1] for w, b in zip(within, before, strict=True)]
    before_ms, within_ms = (
        percentiles_ms(list(itertools.chain(*windows)))[1] for windows in (before, within)
    )
    return before_ms, within_ms, ratios


def _others(ours: Sequence[int]) -> tuple[float, float]:
    """Return the current time, and the CPU seconds that other processes have taken."""
    return time.perf_counter(), others_busy_s(ours)


def _cores_between(first: tuple[float, float], last: tuple[float, float]) -> float:
    return (last[1] - first[1]) / (last[0] - first[0])


def _rss_bytes(server: Server) -> int:
    pages = 0
    for pid, process in server.meter.read().items():
        if process.role == "replica":
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.releases", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-200")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument(
        "--changed",
        choices=["ranker", "all"],
        default="ranker",
        help="models in which the two releases differ",
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="seconds under full load, to measure the peak"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = measure(
        WORKLOADS[options.workload], options.swaps, options.seconds, all_changed=options.changed == "all"
    )
    if options.json:
        json.dump(asdict(result), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(
        f"{result.workload}: {result.swaps} swaps, the last a rollback, at {result.rate_rps:.0f}/s, half of peak\n"
        f"failed swaps {len(result.failed_swaps)}, seconds per swap {min(result.swap_s)} to {max(result.swap_s)}\n"
        f"errors {result.errors} of {result.load['requests']}\n"
        f"p99 {result.p99_before_ms:.1f} ms before, {result.p99_in_swaps_ms:.1f} ms in swaps; {result.p99_ratio:.2f}x, "
        f"the median over pairs from {min(result.p99_ratios):.2f} to {max(result.p99_ratios):.2f}; "
        f"{result.disturbed} of {result.swaps} pairs disturbed\n"
        f"replicas' memory in MiB, by swaps: "
        f"{', '.join(f'{mib:.0f} after {swap}' for swap, mib in result.rss_mib.items())}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
