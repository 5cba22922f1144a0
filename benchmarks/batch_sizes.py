"""The service's requests per second and CPU per request, by batch limit and micro-batch size.

    python -m benchmarks.batch_sizes [--workload dlrm] [--sizes 512,1024:64] [--clients 32,100] [--json]

A size is "batch limit:micro-batch", both in candidates. The second number may be left out. Every size is served as its
operators would start it, with all replicas busy, because replicas that share a cache slow each other down. The rounds
alternate between the sizes, and the figures are medians of the rounds.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.cases import dlrm
from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.harness.cells import Cell, Load, measure_cell
from benchmarks.harness.meters.machine import machine
from benchmarks.harness.quiet import say
from benchmarks.harness.servers import service
from benchmarks.peers import parse_counts
from services.paths import home_directory

_WARM, _WARM_S = Load(clients=16), 2.0
_DEFAULT = "512,512:128,1024:256,1024:128,1024:64,1024:32"


@dataclass(frozen=True, slots=True)
class Size:
    """A batch limit and a micro-batch size, in candidates. With None, a batch is one call of the model."""

    max_candidates: int
    micro_batch: int | None

    def __str__(self) -> str:
        """Return the size as on the command line."""
        return f"{self.max_candidates}" + (f":{self.micro_batch}" if self.micro_batch else "")

    def changes(self, workload: Workload) -> dict[str, dict[str, Any]]:
        """Return the changes to the workload's pipeline."""
        data = workload.pipeline().model_dump(mode="json")
        units = {
            name: {**unit, "batching": {**unit["batching"], "max_candidates": self.max_candidates}}
            for name, unit in data["units"].items()
        }
        name = data["ranker"]["model"]
        model = {**data["models"][name], "micro_batch_candidates": self.micro_batch}
        return {"units": units, "models": {name: model}}


@dataclass(frozen=True, slots=True)
class Row:
    """One size under one load: medians of the rounds, and each round's requests per second."""

    size: str
    clients: int
    rps: float
    rps_each: list[float]
    core_ms: float
    p50_ms: float
    p99_ms: float
    requests_a_batch: float


def measure(
    workload: Workload, sizes: Sequence[Size], clients: Sequence[int], rounds: int, seconds: float
) -> list[Row]:
    """Serve every size in every round, in alternating order."""
    cells: dict[tuple[Size, int], list[Cell]] = {}
    for number in range(rounds):
        for size in sizes if number % 2 == 0 else reversed(sizes):
            say(f"round {number + 1} of {rounds}: {size}")
            with workload.config_file(size.changes(workload)) as config, service(config) as server:
                measure_cell(server, _WARM, workload.bodies(), _WARM_S, 0.0)
                for count in clients:
                    cell = measure_cell(server, Load(clients=count), workload.bodies(), seconds, 0.0)
                    cells.setdefault((size, count), []).append(cell)
    return [_row(size, count, cells[size, count]) for count in clients for size in sizes]


def _row(size: Size, clients: int, cells: Sequence[Cell]) -> Row:
    return Row(
        size=str(size),
        clients=clients,
        rps=median(cell.load.rps for cell in cells),
        rps_each=[cell.load.rps for cell in cells],
        core_ms=median(sum(cell.core_ms.values()) for cell in cells),
        p50_ms=median(cell.load.p50_ms for cell in cells),
        p99_ms=median(cell.load.p99_ms for cell in cells),
        requests_a_batch=median(cell.batches.mean_requests for cell in cells),
    )


def parse_sizes(text: str) -> list[Size]:
    """Return the sizes in a list such as "512,1024:64".

    Raises:
        argparse.ArgumentTypeError: a part is not one or two positive numbers.
    """
    sizes = []
    for part in text.split(","):
        numbers = part.split(":")
        if len(numbers) > 2 or not all(number.isdigit() and int(number) for number in numbers):
            raise argparse.ArgumentTypeError(
                f"write sizes as 512 or 1024:64, separated by commas, got {part!r}"
            )
        sizes.append(Size(int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else None))
    return sizes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.batch_sizes", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="dlrm")
    parser.add_argument(
        "--sizes", type=parse_sizes, default=parse_sizes(_DEFAULT), help=f"default: {_DEFAULT}"
    )
    parser.add_argument("--clients", type=parse_counts, default=(32, 100), help="default: 32,100")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds per window. Default: 2")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    workload, home = WORKLOADS[options.workload], home_directory()
    if workload.name in dlrm.PIPELINES:
        dlrm.build_if_missing(home)
    workload.require(home)
    rows = measure(workload, options.sizes, options.clients, options.rounds, options.seconds)
    if options.json:
        json.dump({"machine": machine(), "rows": [asdict(row) for row in rows]}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(
        f"{'clients':>7}  {'size':>9}  req/s   lowest  highest  core-ms  p50 ms  p99 ms  batch\n"
    )
    for row in rows:
        sys.stdout.write(
            f"{row.clients:7}  {row.size:>9}  {row.rps:5.0f}  {min(row.rps_each):7.0f}  {max(row.rps_each):7.0f}  "
            f"{row.core_ms:7.3f}  {row.p50_ms:6.2f}  {row.p99_ms:6.2f}  {row.requests_a_batch:5.1f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
