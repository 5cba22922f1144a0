"""The start of each side, and its memory, in a new process."""

import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.meters.memory import memory_of
from models.artifact import Artifact
from models.runtimes import load_runtime
from models.runtimes.base import RuntimeOptions
from models.signature import Inputs

_MIB = 1 << 20
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Start:
    """One side's start.

    Attributes:
        first_ms: importing the library and loading the model.
        warm_up_ms: the first call of each shape.
        load_ms: loading the model a second time, as for a new release.
        anonymous_mib: growth of the memory that the process has for itself, library and model.
        mapped_mib: growth of the mapped files, which processes share: libraries, and weights that are read in place.
        model_mib: growth of both for the second copy of the model.
    """

    side: str
    first_ms: float
    warm_up_ms: float
    load_ms: float
    anonymous_mib: float
    mapped_mib: float
    model_mib: float


def measure_starts(
    root: Path, selected: Mapping[str, RuntimeOptions], calls: Sequence[Inputs]
) -> list[Start]:
    """Load and warm up each side in a process of its own.

    Args:
        root: the artifact's folder.
        selected: the options, by side. Packages that ``mode: aot`` needs must exist.
        calls: the calls that warm a replica up.
    """
    context, starts = multiprocessing.get_context("spawn"), []
    for side, config in selected.items():
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            starts.append(pool.submit(_start, side, root, config, list(calls)).result(_LIMIT_S))
    return starts


def _start(side: str, root: Path, config: RuntimeOptions, calls: list[Inputs]) -> Start:
    artifact, times, memory, kept = Artifact.read(root), [time.perf_counter()], [memory_of(os.getpid())], []
    for _ in range(2):
        kept.append(load_runtime(root, artifact, config))
        times.append(time.perf_counter())
        for inputs in calls:
            kept[-1].run(inputs)
        times.append(time.perf_counter())
        memory.append(memory_of(os.getpid()))
    first_s, warm_s, second_s = (times[i + 1] - times[i] for i in range(3))
    return Start(
        side,
        first_s * 1e3,
        warm_s * 1e3,
        second_s * 1e3,
        (memory[1][0] - memory[0][0]) / _MIB,
        (memory[1][1] - memory[0][1]) / _MIB,
        (sum(memory[2]) - sum(memory[1])) / _MIB,
    )
