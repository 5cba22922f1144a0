"""The work that is due before a deadline: candidates of one priority, counted by deadline.

Deadlines fall into buckets of 20 ms, so that a count costs as many additions as there are buckets with waiting work,
however many requests wait.
"""

import math
from collections.abc import Iterator

_BUCKETS_PER_S = 50


class DueCandidates:
    """Candidates by the bucket of their deadline. Counts may be read without a lock.

    total: all candidates. entries: how many times they were counted in and not out.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.total = self.entries = 0
        self._counts: dict[float, int] = {}

    def add(self, deadline_s: float, candidates: int) -> None:
        """Count candidates in."""
        bucket = _bucket(deadline_s)
        self.total += candidates
        self.entries += 1
        self._counts[bucket] = self._counts.get(bucket, 0) + candidates

    def remove(self, deadline_s: float, candidates: int) -> None:
        """Count candidates out; they were counted in with the same deadline."""
        bucket = _bucket(deadline_s)
        self.total -= candidates
        self.entries -= 1
        left = self._counts.get(bucket, 0) - candidates
        if left:
            self._counts[bucket] = left
        else:
            self._counts.pop(bucket, None)

    def by(self, deadline_s: float) -> int:
        """Return the candidates that are due by ``deadline_s``, to the end of its bucket."""
        last = _bucket(deadline_s)
        return sum(count for bucket, count in self._items() if bucket <= last)

    def _items(self) -> Iterator[tuple[float, int]]:
        return iter(tuple(self._counts.items()))  # a copy: another thread may add meanwhile


def _bucket(deadline_s: float) -> float:
    return deadline_s if deadline_s == math.inf else deadline_s * _BUCKETS_PER_S // 1
