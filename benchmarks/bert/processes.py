"""Starts the worker processes of a rung, and asks them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bert.engines import LIMIT
from benchmarks.bert.rungs import Rung
from benchmarks.bert.worker import SCORES, Task, Window

_ROOT = Path(__file__).resolve().parents[2]
_THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", LIMIT)
_STOP_LIMIT_S = 30.0


class Running:
    """The workers of a rung. They load their models at the same time as those of other rungs.

    Call ``wait`` once before the other methods.
    """

    def __init__(self, rung: Rung, processes: Sequence["subprocess.Popen[str]"]) -> None:
        """Take the processes, which may still load their models."""
        self.rung, self._processes = rung, processes

    def wait(self) -> None:
        """Wait until all workers have loaded their models.

        Raises:
            RuntimeError: a worker ended.
        """
        for process in self._processes:
            self._answer(process)

    def scores(self) -> NDArray[np.float64]:
        """Return the first worker's scores of the first requests.

        Raises:
            RuntimeError: the worker ended.
        """
        _write(self._processes[0], f"{SCORES}\n")
        return np.array(self._answer(self._processes[0])["scores"])

    def run(self, seconds: float) -> list[Window]:
        """Let all workers execute requests at the same time.

        Raises:
            RuntimeError: a worker ended.
        """
        for process in self._processes:
            _write(process, f"{seconds}\n")
        return [Window(**self._answer(process)) for process in self._processes]

    def _answer(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"a worker of {self.rung.name!r} ended with {process.wait()}; see its messages"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running(rung: Rung, mix: Path, models: Path) -> Iterator[Running]:
    """Run the workers of a rung.

    Args:
        rung: the rung.
        mix: file with the requests.
        models: the folder of the artifacts.
    """
    count = rung.workers or os.cpu_count() or 1
    environment = {name: value for name, value in os.environ.items() if name not in _THREAD_LIMITS}
    if rung.max_isa is not None:
        environment[LIMIT] = rung.max_isa
    processes = []
    try:
        for part in range(count):
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.bert.worker"],
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            processes.append(process)
            task = Task(
                mix=str(mix),
                root=str(models / rung.artifact),
                engine=rung.engine,
                threads=rung.threads,
                padded=rung.padded,
                max_tokens=rung.max_tokens,
                part=part,
                parts=count,
                cache=rung.cache,
            )
            _write(process, json.dumps(asdict(task)) + "\n")
        yield Running(rung, processes)
    finally:
        for process in processes:
            _stop(process)


def _write(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _stop(process: "subprocess.Popen[str]") -> None:
    try:
        process.communicate(timeout=_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
