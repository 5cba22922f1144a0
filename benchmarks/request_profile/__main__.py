"""The CPU of one request from socket to socket: by process, by the replica's threads, and by their layers.

    python -m benchmarks.request_profile [--workload dlrm] [--clients 1,10,100] [--checkout DIR] [--json]
    python -m benchmarks.request_profile --instructions

The service runs as its operators start it, under closed loops. CPU by process and thread comes from /proc. The layers
come from samples of perf (Debian's linux-perf), in a window of their own. Without perf the table ends with the threads.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import yaml

from benchmarks.cases import dlrm
from benchmarks.cases.workloads import WORKLOADS, Workload, yaml_file
from benchmarks.harness.meters.machine import commit_of, machine
from benchmarks.harness.quiet import say
from benchmarks.harness.servers import service
from benchmarks.peers import parse_counts
from benchmarks.request_profile import instructions
from benchmarks.request_profile.cells import Cell, Profiler
from benchmarks.request_profile.report import as_text
from benchmarks.request_profile.samples import has_perf
from services.paths import home_directory

_ROOT = Path(__file__).resolve().parents[2]


def profile(workload: Workload, clients: Sequence[int], seconds: float, checkout: Path) -> list[Cell]:
    """Start the service of a checkout with its own configuration, and measure it with each number of clients."""
    with _config_of(workload, checkout) as config, service(config, checkout=checkout) as server:
        profiler = Profiler(server, workload.bodies(), sampled=has_perf())
        return [profiler.cell(count, seconds) for count in clients]


@contextmanager
def _config_of(workload: Workload, checkout: Path) -> Iterator[Path]:
    """Write the workload's YAML, as the checkout has it, to a temporary file. It may lack the fields of this one."""
    data = yaml.safe_load((checkout / "configs" / workload.config.name).read_text())
    data["candidates"]["count"] = workload.candidates
    with yaml_file(workload.name, data) as path:
        yield path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks.request_profile", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="dlrm")
    parser.add_argument("--clients", type=parse_counts, default=(1, 10, 100), help="default: 1,10,100")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds per window. Default: 3")
    parser.add_argument(
        "--checkout",
        type=Path,
        action="append",
        metavar="DIR",
        help="checkout whose service is measured, with its own .venv. May be repeated. Default: this one",
    )
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="count the Python instructions of a request by function, in this process, instead of the CPU",
    )
    parser.add_argument("--json", action="store_true")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Return 1 if the data is missing or the service does not start."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.seconds <= 0:
        parser.error(f"--seconds: must be positive, got {options.seconds}")
    workload, home = WORKLOADS[options.workload], home_directory()
    if workload.name in dlrm.PIPELINES:
        dlrm.build_if_missing(home)
    try:
        workload.require(home)
    except RuntimeError as error:
        say(f"error: {error}")
        return 1
    if options.instructions:
        counted = [instructions.count(workload, clients) for clients in options.clients]
        if options.json:
            json.dump([asdict(each) for each in counted], sys.stdout, indent=2)
        sys.stdout.write("\n" if options.json else "\n".join(map(instructions.as_text, counted)))
        return 0
    if not has_perf():
        say("perf: not found, so layers are left out; install linux-perf")
    return _profile_all(workload, options)


def _profile_all(workload: Workload, options: argparse.Namespace) -> int:
    results = []
    for folder in options.checkout or [_ROOT]:
        try:
            cells = profile(workload, options.clients, options.seconds, folder.resolve())
        except (OSError, RuntimeError) as error:
            say(f"error: {error}")
            return 1
        commit = commit_of(folder)
        results.append(
            {"commit": commit, "workload": workload.name, "cells": [asdict(cell) for cell in cells]}
        )
        if not options.json:
            sys.stdout.write(f"{workload.name}, commit {commit}\n{as_text(cells)}\n\n")
            sys.stdout.flush()
    if options.json:
        json.dump({"machine": machine(), "results": results}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(f"{machine()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
