"""The trace feed: it keeps the needed part of the trace in memory, and knows the trace's end."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.simulator.arrivals import Chunk, checked

_LONGEST_S = 400 * 86_400.0
_EARLIEST_S = -1.0
"""A time before any request, because times are not negative."""


class Feed:
    """A trace's requests between two times. Only the needed part is in memory.

    Attributes:
        times_s: arrival times of the requests in memory.
        candidates: their candidates.
        position: index of the next request in these arrays.
        last_s: arrival time of the last request that was read.
        start_s: when the first request arrives, or the requested start.
    """

    def __init__(self, chunks: Iterable[Chunk], start_s: float | None, end_s: float | None) -> None:
        """Read up to the first request at or after ``start_s``.

        Raises:
            TraceError: there is no such request before ``end_s``.
        """
        self._chunks = checked(chunks)
        self._end_s = math.inf if end_s is None else end_s
        self._is_over = False
        self.times_s: NDArray[np.float64] = np.zeros(0)
        self.candidates: NDArray[np.int32] = np.zeros(0, np.int32)
        self.position = 0
        self.last_s = math.nan
        self._first_s = math.nan
        self.read_to(-math.inf if start_s is None else start_s)
        if start_s is not None:
            self.position = int(np.searchsorted(self.times_s, start_s))
        if self.position == len(self.times_s):
            raise TraceError(
                f"the trace has no requests from {start_s} s to {end_s} s; change start_s or end_s"
            )
        self.start_s = float(self.times_s[0]) if start_s is None else start_s

    def read_to(self, until_s: float) -> None:
        """Read all requests before ``until_s`` into memory, and at least one request if the trace has one.

        Raises:
            TraceError: the trace is not sorted, or spans more than 400 days.
        """
        parts = [(self.times_s[self.position :], self.candidates[self.position :])]
        last_s = float(parts[0][0][-1]) if len(parts[0][0]) else -math.inf
        if self._is_over or max(until_s, _EARLIEST_S) <= last_s:
            return
        while max(until_s, _EARLIEST_S) > last_s:
            times_s, candidates = next(self._chunks, (None, None))
            if times_s is None or candidates is None or times_s[0] >= self._end_s:
                self._is_over = True
                break
            within = int(np.searchsorted(times_s, self._end_s))
            parts.append((times_s[:within], candidates[:within]))
            last_s = self.last_s = float(times_s[within - 1])
            self._first_s = float(times_s[0]) if math.isnan(self._first_s) else self._first_s
            if last_s - self._first_s > _LONGEST_S:
                raise TraceError(
                    f"times_s: must span at most 400 days, got {self._first_s:.0f} to {last_s:.0f}; "
                    f"check that the times are in seconds"
                )
        self.times_s = np.concatenate([times_s for times_s, _ in parts])
        self.candidates = np.concatenate([candidates for _, candidates in parts])
        self.position = 0

    def end_s(self, until_s: float) -> float:
        """Return the arrival time of the last request, or infinity if it does not arrive before ``until_s``."""
        self.read_to(until_s)
        return self.last_s if self._is_over and self.last_s < until_s else math.inf
