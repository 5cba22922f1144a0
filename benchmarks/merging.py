"""Merging at the ranker: candidates per batch with 8 ingress replicas, compared with 1.

    python -m benchmarks.merging [--workload dlrm] [--ingresses 8] [--clients 100] [--json]

The question is whether calls from many ingress replicas merge into batches as well as calls from one. The pipeline is
split as in configs/walks-split.yaml. The ingress unit reads features and reranks, and one ranker replica scores. The
ranker reports the batch size itself, in its histogram ``rankway_batch_candidates``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cases.workloads import WORKLOADS, Workload, yaml_file
from benchmarks.harness.cells import Load, measure_cell
from benchmarks.harness.meters.scrape import metrics_url, settled_total
from benchmarks.harness.servers import service
from services.config.pipeline import PipelineConfig

WANTED_RATIO = 0.8
_SERIES = ("ray_rankway_batch_candidates_sum", "ray_rankway_batch_candidates_count")
_RANKER = 'unit="ranker"'
_REPORT_PERIOD_MS = 1000
_CALLS_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class Merged:
    """The figures for one number of ingress replicas under a closed loop. Batches are the ranker's."""

    ingresses: int
    candidates_a_batch: float
    batches: int
    rps: float
    p50_ms: float
    p99_ms: float
    bad: int


def split(pipeline: PipelineConfig, ingresses: int) -> PipelineConfig:
    """Return the pipeline with its ranker in a one-replica unit, behind `ingresses` ingress replicas."""
    data: dict[str, Any] = pipeline.model_dump(mode="json")
    unit = data["units"][pipeline.ingress_unit]
    front = [stage for stage in pipeline.stage_names() if stage != "ranker"]
    data["units"] = {
        "ingress": {
            **unit,
            "stages": front,
            "replicas": ingresses,
            "cpus": 1 / ingresses,
            "max_calls_in_flight": _CALLS_IN_FLIGHT,
        },
        "ranker": {**unit, "stages": ["ranker"], "replicas": 1, "cpus": 1.0},
    }
    return PipelineConfig.model_validate(data)


def measure(workload: Workload, ingresses: int, clients: int, seconds: float) -> Merged:
    """Serve the split pipeline and load it.

    Raises:
        RuntimeError: the service did not start, or its metrics were not available.
    """
    settings = {"RAY_metrics_report_interval_ms": str(_REPORT_PERIOD_MS)}
    pipeline = split(workload.pipeline(), ingresses)
    with yaml_file("split", pipeline.model_dump(mode="json")) as path, service(path, settings) as server:
        url = metrics_url(server.log)
        load = Load(clients=clients)
        measure_cell(server, load, workload.bodies(), 1.0, 0.0)
        before = _totals(url)
        cell = measure_cell(server, load, workload.bodies(), seconds, 0.0)
        candidates, batches = (end - start for end, start in zip(_totals(url), before, strict=True))
    result = cell.load
    bad = result.errors + sum(count for status, count in result.statuses.items() if status != "200")
    return Merged(
        ingresses, candidates / max(1, batches), int(batches), result.rps, result.p50_ms, result.p99_ms, bad
    )


def _totals(url: str) -> list[float]:
    return settled_total(url, _SERIES, _RANKER, quiet_s=5.0, limit_s=60.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Return 1 if the batches with many ingresses are smaller than the goal."""
    parser = argparse.ArgumentParser(prog="benchmarks.merging", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="dlrm")
    parser.add_argument("--ingresses", type=int, default=8)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    workload = WORKLOADS[options.workload]
    one = measure(workload, 1, options.clients, options.seconds)
    many = measure(workload, options.ingresses, options.clients, options.seconds)
    ratio = many.candidates_a_batch / one.candidates_a_batch
    if options.json:
        result = {"workload": workload.name, "one": asdict(one), "many": asdict(many), "ratio": ratio}
        json.dump(result, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for side in (one, many):
            sys.stdout.write(
                f"{side.ingresses} ingress(es): {side.candidates_a_batch:.0f} candidates per batch over {side.batches} "
                f"batches, {side.rps:.0f} requests/s, p50 {side.p50_ms:.1f} ms, p99 {side.p99_ms:.1f} ms, "
                f"failed {side.bad}\n"
            )
        sys.stdout.write(f"ratio {ratio:.0%}, goal {WANTED_RATIO:.0%}\n")
    return 0 if ratio >= WANTED_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
