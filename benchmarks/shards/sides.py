"""Ways to run a model for benchmarks/sharding.py, each in processes of its own: in one process, or over ranks.

Memory is the growth from loading and running the model. Anonymous memory, which the system cannot take back, is
reported at its peak. Memory at rest is reported after the batches and includes mapped file pages.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.sharding_models import Case
from benchmarks.harness.meters.memory import Growth
from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.base import GroupOptions, Runtime, group_of
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.kinds.torch import TorchConfig
from services.sharding.group import ShardGroup
from services.sharding.processes import ProcessLauncher

_MOST_RUNS, _FEWEST_RUNS = 2000, 5
Result = TypeVar("Result")


@dataclass
class Side:
    """The figures for one way to run a model.

    Attributes:
        scores: one array per input shape.
        p50_ms: median time for the first shape, if it was measured.
        peak_anonymous_mib: each process's peak.
        resting_mib: each process's memory at rest.
        refused: the reason, if the model cannot run in this way.
    """

    scores: list[NDArray[np.float32]] = field(default_factory=list)
    p50_ms: float = 0.0
    peak_anonymous_mib: list[float] = field(default_factory=list)
    resting_mib: list[float] = field(default_factory=list)
    refused: str | None = None


def whole(case: Case, before: Case) -> Side:
    """Run the model in this process. ``before`` is a tiny model that loads the libraries first."""
    return _run(
        case,
        before,
        lambda each: load_runtime(each.root, each.artifact, TorchConfig()),
        [own_pid()],
    )


def sharded(case: Case, before: Case, options: dict[str, Any], seconds: float = 0.0) -> Side:
    """Run the model over ranks. This process is the first rank. If ``seconds`` is 0, no times are measured."""
    config = runtime_config(timeout_s=60, **options)
    group_config = group_of(config)
    assert group_config is not None
    with group_of_processes(group_config) as (group, pids):
        try:
            return _run(
                case, before, lambda each: group.load(each.root, each.artifact, config), pids, seconds
            )
        except RuntimeFailure as error:
            return Side(refused=str(error))


@contextmanager
def group_of_processes(config: GroupOptions) -> Iterator[tuple[ShardGroup, list[int]]]:
    """Start a group whose rank 0 is this process. Yield it with its ranks' process ids."""
    processes = ProcessLauncher()
    group = ShardGroup(config, processes)
    try:
        group.join()
        yield group, [own_pid(), *[each.pid for each in processes.started if each.pid is not None]]
    finally:
        group.close()


def _run(
    case: Case, before: Case, load: Callable[[Case], Runtime], pids: list[int], seconds: float = 0.0
) -> Side:
    warm_up = load(before)  # loads the libraries, which do not count as the model's memory
    warm_up.run(before.inputs(before.shapes[0]))
    growth = Growth(pids)
    runtime = load(case)
    side = Side(scores=[runtime.run(case.inputs(shape))["score"] for shape in case.shapes])
    side.resting_mib, side.peak_anonymous_mib = growth.stop(), growth.peaks
    if not seconds:
        return side
    inputs = case.inputs(case.shapes[0])
    times: list[float] = []
    until_s = time.perf_counter() + seconds
    while len(times) < _FEWEST_RUNS or (time.perf_counter() < until_s and len(times) < _MOST_RUNS):
        started_s = time.perf_counter()
        runtime.run(inputs)
        times.append(time.perf_counter() - started_s)
    side.p50_ms = float(np.median(times)) * 1e3
    return side


def own_pid() -> int:
    """Return this process's id."""
    return multiprocessing.current_process().pid or 0


def apart(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call the function in a separate process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
