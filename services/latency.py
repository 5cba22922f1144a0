"""What a stage's time is expected to be, learnt from its last times by the size of its batch.

Sizes fall into powers of two. Of each, the last few times are kept, and a high quantile of them is expected: one
slow batch (a cold cache, another process on the core) raises it little once a few are known, a lasting change moves
it within a window. A size not met yet is judged by the nearest one met: larger ones in proportion, which a stage
that gains from batching does not exceed, smaller ones as that one.

What is expected to be too slow is not run, so its expectation would never be put right: it halves for every
``HALF_LIFE_S`` that the stage was not run at that size. Time is an argument.
"""

import math
from dataclasses import dataclass

WINDOW = 16
QUANTILE = 0.9
HALF_LIFE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Window:
    times_s: tuple[float, ...]
    quantile_s: float
    last_s: float


class Latency:
    """One stage's times. Windows are replaced, never changed, so that threads may observe and ask at once."""

    def __init__(self) -> None:
        """Know nothing: any batch is expected to take no time."""
        self._windows: dict[int, _Window] = {}

    def observe(self, size: int, elapsed_s: float, now_s: float) -> None:
        """Learn that a batch of ``size`` took ``elapsed_s`` and was done at ``now_s``."""
        bucket = max(1, size).bit_length()
        before = self._windows.get(bucket)
        times_s = (*(() if before is None else before.times_s[1 - WINDOW :]), elapsed_s)
        quantile_s = sorted(times_s)[math.ceil(QUANTILE * len(times_s)) - 1]
        self._windows = {**self._windows, bucket: _Window(times_s, quantile_s, now_s)}

    def expected_s(self, size: int, now_s: float) -> float:
        """Give what a batch of ``size`` would take; 0 where nothing is known."""
        windows, bucket = self._windows, max(1, size).bit_length()
        if not windows:
            return 0.0
        known = bucket if bucket in windows else min(windows, key=lambda met: (abs(met - bucket), -met))
        window = windows[known]
        halvings = max(0.0, now_s - window.last_s) / HALF_LIFE_S
        return window.quantile_s * float(2.0 ** (max(0, bucket - known) - halvings))
