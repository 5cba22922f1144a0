"""The expected time of a rung, learned from its last batches by size.

Sizes are grouped by powers of two. Each group keeps its last 16 times, and the expected time is their 0.9 quantile,
rounded down. Once two times are known, the slowest is never expected, because one slow batch (a cold cache, another
process on the core) tells little about the next. A lasting change is learned within 16 batches.

A group without times gets bounds from the other groups. A batch takes no longer than a larger batch, and at most
proportionally longer than a smaller batch, because batching never costs more. The smallest bound is the expected time.
"""

import msgspec

from autoscale.serving_rules import in_proportion_s, size_bucket

WINDOW = 16
QUANTILE = 0.9


class _Window(msgspec.Struct, frozen=True):
    times_s: tuple[float, ...]
    quantile_s: float
    last_s: float


class Latency:
    """One rung's times. Windows are replaced and never changed, so several threads may use an object at once."""

    def __init__(self) -> None:
        """Start without any times. A batch is then expected to take no time."""
        self._windows: dict[int, _Window] = {}

    def observe(self, size: int, elapsed_s: float, now_s: float) -> None:
        """Learn that a batch of ``size`` took ``elapsed_s`` and ended at ``now_s``."""
        bucket = size_bucket(size)
        previous = self._windows.get(bucket)
        times_s = (*(() if previous is None else previous.times_s[1 - WINDOW :]), elapsed_s)
        # Rounded down: of 2 to 11 times, the slowest is left out. Of 12 to 16, the two slowest are.
        quantile_s = sorted(times_s)[int(QUANTILE * (len(times_s) - 1))]
        self._windows = {**self._windows, bucket: _Window(times_s, quantile_s, now_s)}

    def correct(self, size: int, elapsed_s: float, now_s: float) -> None:
        """Learn from a probe. Its time replaces all times that contradict it, at every size."""
        bucket = size_bucket(size)
        consistent = {
            other: window
            for other, window in self._windows.items()
            if other != bucket and window.quantile_s <= in_proportion_s(elapsed_s, bucket, other)
        }
        self._windows = {**consistent, bucket: _Window((elapsed_s,), elapsed_s, now_s)}

    def expected_s(self, size: int) -> float:
        """Return the expected time of a batch of ``size``. 0 if no batch has run yet."""
        expected_s, _ = self._estimate(size)
        return expected_s

    def age_s(self, size: int, now_s: float) -> float:
        """Return how long ago the newest batch behind ``expected_s`` ended. Infinite if no batch has run yet."""
        _, window = self._estimate(size)
        return float("inf") if window is None else now_s - window.last_s

    def _estimate(self, size: int) -> tuple[float, _Window | None]:
        """Return the expected time and the window that it is taken from."""
        windows, bucket = self._windows, size_bucket(size)
        window = windows.get(bucket)
        if window is not None:
            return window.quantile_s, window
        bounds = ((in_proportion_s(w.quantile_s, other, bucket), w) for other, w in windows.items())
        return min(bounds, key=lambda bound: bound[0], default=(0.0, None))
