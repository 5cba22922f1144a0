"""Poisson load on a model in this process. Latency counts from the time at which a request was scheduled."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_SPIN_S = 0.0005
_OVERRUN = 3.0
"""A window may take three times as long as planned. Later requests count as missed."""


@dataclass(frozen=True)
class OpenLoopResult:
    """The latencies of one window.

    Attributes:
        rate: scheduled requests per second.
        missed: requests that were never answered, because the window took too long.
        mean_batch: mean requests per batch.
    """

    rate: float
    requests: int
    missed: int
    p50_ms: float
    p99_ms: float
    mean_batch: float


def open_loop(
    serve: Callable[[int], object], sizes: Sequence[int], rate: float, seconds: float, *, seed: int = 0
) -> OpenLoopResult:
    """Send requests at random times and serve all that wait in one batch, up to the largest size.

    Args:
        serve: runs a batch of the given size, and returns when the scores are in main memory.
        sizes: the sizes of batches, ascending. A batch with fewer requests is filled up to the next size.
        rate: mean requests per second.
        seconds: length of the window.
        seed: random seed of the times.
    """
    count = max(1, int(rate * seconds))
    due_s = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))
    latencies_s: list[float] = []
    batches = served = 0
    started_s = time.perf_counter()
    while served < count:
        now_s = time.perf_counter() - started_s
        if now_s > seconds * _OVERRUN:
            break
        ahead_s = float(due_s[served]) - now_s
        if ahead_s > 0:
            if ahead_s > _SPIN_S:  # sleep most of the time, because a sleep ends late
                time.sleep(ahead_s - _SPIN_S)
            continue
        waiting = int(np.searchsorted(due_s, now_s, side="right")) - served
        taken = min(waiting, sizes[-1])
        serve(next(size for size in sizes if size >= taken))
        done_s = time.perf_counter() - started_s
        latencies_s += (done_s - due_s[served : served + taken]).tolist()
        served, batches = served + taken, batches + 1
    p50, p99 = np.percentile(latencies_s or [float("nan")], [50, 99]) * 1e3
    return OpenLoopResult(
        rate, count, count - served, round(float(p50), 4), round(float(p99), 4), served / max(1, batches)
    )
