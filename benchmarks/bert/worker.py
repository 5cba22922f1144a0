"""A worker process of a rung. It executes requests for a while whenever it is told to, and reports their times.

The first line of its standard input is its ``Task`` as JSON. Each further line is "scores" or a number of seconds. Each
answer is a line of JSON, the first one when the model is loaded. A worker that waits for a line uses no CPU.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from benchmarks.bert.cache import TokenCache
from benchmarks.bert.calls import WAITING, Composer
from benchmarks.bert.engines import Engine, EngineName, load_engine
from benchmarks.bert.mixes import Mix

SCORES = "scores"
_AGREEMENT = 24
"""The number of requests whose scores are compared with another rung's."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker executes.

    Attributes:
        mix: file with the requests.
        root: the artifact.
        threads: threads of a call. None: the framework's default.
        part: the worker's number. Worker i of n takes every n-th block of waiting requests.
        parts: the number of workers.
        cache: entries of the token-id cache. 0: no cache.
    """

    mix: str
    root: str
    engine: EngineName
    threads: int | None
    padded: bool
    max_tokens: int | None
    part: int = 0
    parts: int = 1
    cache: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """What a worker did in a window.

    Attributes:
        latencies_ms: the time of each finished request's call. Hits of the cache count as 0.
        cpu_s: CPU time of the worker.
        slots: tokens and padding.
        tokens: tokens.
        hits: requests that the cache answered.
    """

    seconds: float
    cpu_s: float
    latencies_ms: list[float]
    slots: int
    tokens: int
    hits: int


class Worker:
    """Executes one part of a mix, in order, again and again."""

    def __init__(self, task: Task) -> None:
        """Load the model."""
        self._mix = Mix.load(Path(task.mix))
        self._composer = Composer(self._mix, task.padded, task.max_tokens)
        self._engine: Engine = load_engine(task.engine, Path(task.root), task.threads)
        self._cache = TokenCache(task.cache) if task.cache else None
        self._blocks = self._blocks_of(task)

    def scores(self) -> list[float]:
        """Return the scores of the mix's first requests, each in a call of its own."""
        texts = self._mix.order[:_AGREEMENT]
        return [float(self._engine(self._composer.inputs(texts[i : i + 1]))[0]) for i in range(len(texts))]

    def run(self, seconds: float) -> Window:
        """Execute requests for some seconds, at least one call."""
        latencies: list[float] = []
        slots = tokens = hits = 0
        started_s, cpu_s = time.perf_counter(), time.process_time()
        while not latencies or time.perf_counter() - started_s < seconds:
            waiting = self._missing(next(self._blocks))
            done = 0
            for texts in self._composer.calls(waiting):
                call_s = time.perf_counter()
                inputs = self._composer.inputs(texts)
                scores = self._engine(inputs)
                latencies += [(time.perf_counter() - call_s) * 1e3] * len(texts)
                done += len(texts)
                slots += inputs["input_ids"].size
                tokens += int(self._mix.texts.lengths[texts].sum())
                if self._cache is not None:
                    for text, score in zip(texts.tolist(), scores.tolist(), strict=True):
                        self._cache.add(self._mix.texts[text], score)
                if time.perf_counter() - started_s >= seconds:
                    break  # the block's other requests are dropped
            answered = _hits_with(done, len(waiting))
            hits += answered
            latencies += [0.0] * answered
        took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        return Window(took_s, cpu_s, latencies, slots, tokens, hits)

    def _missing(self, texts: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._cache is None:
            return texts
        return np.array([t for t in texts.tolist() if self._mix.texts[t] not in self._cache], dtype=np.int64)

    def _blocks_of(self, task: Task) -> Iterator[NDArray[np.int64]]:
        count = len(self._mix.order) // WAITING
        block = task.part
        while True:
            first = block % count * WAITING
            yield self._mix.order[first : first + WAITING]
            block += task.parts


def _hits_with(done: int, misses: int) -> int:
    """Return how many of a block's hits count if ``done`` of its misses were executed: the same share."""
    found = WAITING - misses
    return found * done // misses if misses else found


def serve(lines: TextIO, answers: TextIO) -> None:
    """Answer each line until there are no more."""
    worker = Worker(Task(**json.loads(lines.readline())))
    _write(answers, {"ready": True})
    for line in lines:
        is_run = line.strip() != SCORES
        _write(answers, asdict(worker.run(float(line))) if is_run else {"scores": worker.scores()})


def _write(answers: TextIO, answer: Mapping[str, object]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
