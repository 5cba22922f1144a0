"""Waiting candidates, counted by priority and deadline.

Deadlines fall into buckets of 20 ms. A count costs time in proportion to the buckets in use, not to the waiting
requests.

Only one thread at a time may change the counts. Any thread may read them without a lock, because a reader iterates over
a copy of the dict, and copying a dict is atomic.
"""

import math

_BUCKETS_PER_S = 50


class DueCandidates:
    """Counts waiting candidates by priority and deadline bucket."""

    def __init__(self) -> None:
        """Start empty."""
        self._counts: dict[tuple[int, float], int] = {}

    def add(self, priority: int, deadline_s: float, candidates: int) -> None:
        """Add candidates to the count."""
        key = priority, _bucket(deadline_s)
        self._counts[key] = self._counts.get(key, 0) + candidates

    def remove(self, priority: int, deadline_s: float, candidates: int) -> None:
        """Remove candidates that were added with the same priority and deadline."""
        key = priority, _bucket(deadline_s)
        remaining = self._counts.get(key, 0) - candidates
        if remaining:
            self._counts[key] = remaining
        else:
            self._counts.pop(key, None)

    def before(self, priority: int, deadline_s: float) -> int:
        """Count all candidates with a higher priority, and those with this priority that are due by ``deadline_s``.

        All candidates in the bucket of ``deadline_s`` are due by it.
        """
        last = _bucket(deadline_s)
        return sum(
            [
                count
                for (other, bucket), count in self._counts.copy().items()
                if other > priority or (other == priority and bucket <= last)
            ]
        )

    def at_least(self, priority: int, deadline_s: float) -> int:
        """Count the candidates with this or a higher priority that are due by ``deadline_s``."""
        last = _bucket(deadline_s)
        return sum(
            [
                count
                for (other, bucket), count in self._counts.copy().items()
                if other >= priority and bucket <= last
            ]
        )


def _bucket(deadline_s: float) -> float:
    return deadline_s if deadline_s == math.inf else deadline_s * _BUCKETS_PER_S // 1
