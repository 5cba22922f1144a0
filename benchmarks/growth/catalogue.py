"""CPU per request and memory of each replica against the number of items, with two replicas that map one catalogue."""

import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from benchmarks.cases.workloads import WORKLOADS
from benchmarks.growth.chart import Chart, Panel, Points, Values
from benchmarks.growth.in_process import TOTAL, InProcess, with_changes
from benchmarks.growth.tiled import home_with
from benchmarks.harness.meters.memory import memory_of
from services.config.pipeline import PipelineConfig
from services.paths import home_directory

_XS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_REPLICAS = 2
_LIMIT_S = 80.0
PRIVATE, SHARED, START = "private memory per replica", "shared file pages", "seconds until a replica is ready"


def measure(xs: Sequence[int], settings: Mapping[str, Any]) -> Points:
    """Start replicas over each catalogue, load both, and measure one of them."""
    pipeline = with_changes(WORKLOADS["walks-200"].pipeline(), {"candidates": {"kind": "sample"}})
    for items in xs:
        with tempfile.TemporaryDirectory(prefix="rankway-growth-", dir="/var/tmp") as folder:
            home = Path(folder)
            home_with(home, home_directory(), Path(pipeline.catalogue), items)
            yield items, _replicas(pipeline, home, settings["seconds"])


def _replicas(pipeline: PipelineConfig, home: Path, seconds: float) -> Values:
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        costs = []
        for _ in range(_REPLICAS):  # one after another, so that the times are of one replica alone
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, pipeline, home, seconds), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
            if not ours.poll(_LIMIT_S):
                raise RuntimeError(f"a replica was not ready within {_LIMIT_S:.0f} s")
            costs.append(ours.recv())
        memory = [memory_of(process.pid or 0) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.join()
    values = {name: min(cost[name] for cost in costs) for name in costs[0]}
    private, shared = (max(each) / 2**20 for each in zip(*memory, strict=True))
    return values | {PRIVATE: private, SHARED: shared}


def _serve(pipe: Pipe, pipeline: PipelineConfig, home: Path, seconds: float) -> None:
    started_s = time.perf_counter()
    with InProcess(pipeline, home) as replica:
        replica.run()
        ready_s = time.perf_counter() - started_s
        cost = replica.cost(seconds)
        pipe.send({"CPU ms per request": cost[TOTAL], "ranker": cost["ranker"], START: ready_s})
        pipe.recv()  # until the process is ended


CHART = Chart(
    name="catalogue",
    title="walks-200's pipeline over larger catalogues, random candidates: two replicas that map the same files",
    x_label="items in the catalogue",
    xs=_XS,
    panels=(
        Panel(
            "CPU ms per request",
            ("CPU ms per request", "ranker"),
            rise_of="CPU ms per request",
            scale="linear",
        ),
        Panel("MiB per replica", (PRIVATE, SHARED), bend_of=PRIVATE),
        Panel("s", (START,), bend_of=START),
    ),
    measure=measure,
    settings={"seconds": 4.0},
)
