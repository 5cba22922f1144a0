"""The served log's cost per request: the same engine without and with the log, in turns.

    python -m benchmarks.served_log [--workload walks-200] [--json]

It runs in one process without HTTP, as a closed loop. CPU per request is the process's CPU time divided by the number
of answered requests. The log's thread is also reported separately, as it may run on another core. Latency counts from
request to answer.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.harness.results import percentiles_ms
from services.config.pipeline import PipelineConfig
from services.ingress.schema import RankRequest, parse_rank_request
from services.logs.writer import LogConfig
from services.paths import home_directory
from services.units.ingress_replica import build_engine


@dataclass(frozen=True, slots=True)
class Cost:
    """The figures with or without the log: CPU per request, the log thread's part of it, latencies, bytes per row."""

    core_ms: float
    log_thread_core_ms: float
    p50_ms: float
    p99_ms: float
    bytes_a_row: float


async def measure(pipeline: PipelineConfig, requests: Sequence[RankRequest], clients: int) -> Cost:
    """Answer the requests with the pipeline's engine, after a warm-up with the first tenth of them."""
    engine = build_engine(pipeline, home_directory(), replica="benchmark")
    log = engine.log
    queue, latencies_s = iter(requests[: len(requests) // 10]), list[float]()

    async def client(name: int) -> None:
        for number, request in enumerate(queue):
            started_s = time.perf_counter()
            await engine.rank(request, f"benchmark-{name}-{number}")
            latencies_s.append(time.perf_counter() - started_s)

    async def answered() -> None:
        await asyncio.gather(*[client(name) for name in range(clients)])

    try:
        await answered()
        latencies_s.clear()
        queue = iter(requests)
        before = time.process_time(), log.thread_cpu_s() if log else 0.0
        await answered()
        after = time.process_time(), log.thread_cpu_s() if log else 0.0
    finally:
        engine.close()
    count = len(requests)
    p50_ms, p99_ms, _ = percentiles_ms(latencies_s)
    files = [] if pipeline.log is None else list(Path(pipeline.log.path).glob("lists-*.parquet"))
    size_bytes = sum(path.stat().st_size for path in files) / (count + count // 10)
    whole_ms, log_ms = (1e3 * (end - start) / count for end, start in zip(after, before, strict=True))
    return Cost(whole_ms, log_ms, p50_ms, p99_ms, size_bytes)


def compare(
    workload: Workload, count: int, clients: int, repeats: int
) -> tuple[dict[str, Cost], list[float]]:
    """Return the medians without and with the log, and for each repeat the additional CPU per request with it."""
    requests = [parse_rank_request(body) for body in workload.bodies()]
    requests = (requests * (count // len(requests) + 1))[:count]
    costs_by_side: dict[str, list[Cost]] = {"off": [], "on": []}
    for repeat in range(repeats):
        for side in ("off", "on") if repeat % 2 == 0 else ("on", "off"):
            with tempfile.TemporaryDirectory(prefix="rankway-benchmark-") as folder:
                log = LogConfig(path=folder) if side == "on" else None
                pipeline = workload.pipeline().model_copy(update={"log": log})
                costs_by_side[side].append(asyncio.run(measure(pipeline, requests, clients)))
    names = Cost.__dataclass_fields__
    more_ms = [
        on.core_ms - off.core_ms for on, off in zip(costs_by_side["on"], costs_by_side["off"], strict=True)
    ]
    return {
        side: Cost(*(median(getattr(cost, name) for cost in costs) for name in names))
        for side, costs in costs_by_side.items()
    }, more_ms


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.served_log", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-200")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    sides, more_ms = compare(WORKLOADS[options.workload], options.requests, options.clients, options.repeats)
    if options.json:
        report = {name: asdict(cost) for name, cost in sides.items()}
        json.dump({"workload": options.workload, **report, "more_core_ms": more_ms}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    for name, cost in sides.items():
        sys.stdout.write(
            f"log {name:<3} {cost.core_ms:.3f} core-ms per request, {cost.log_thread_core_ms:.3f} of them in the log's "
            f"thread; p50 {cost.p50_ms:.2f} ms, p99 {cost.p99_ms:.2f} ms; {cost.bytes_a_row:.0f} bytes per row\n"
        )
    differences = ", ".join(f"{each:+.3f}" for each in sorted(more_ms))
    sys.stdout.write(f"added by the log: median {median(more_ms):+.3f} core-ms per request ({differences})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
