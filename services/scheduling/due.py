"""Waiting candidates, counted by priority and deadline.

Deadlines fall into buckets of 20 ms. A count costs time in proportion to the buckets in use, not to the waiting
requests.

Only one thread at a time may change the counts. Any thread may read them without a lock, because a reader iterates over
a copy of each dict, and copying a dict is atomic.
"""

import math

_BUCKETS_PER_S = 50


class DueCandidates:
    """Counts candidates by deadline bucket.

    Attributes:
        total: all candidates.
        entries: calls of ``add`` without a matching ``remove`` yet.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.total = self.entries = 0
        self._counts: dict[float, int] = {}

    def add(self, deadline_s: float, candidates: int) -> None:
        """Add candidates to the count."""
        bucket = _bucket(deadline_s)
        self.total += candidates
        self.entries += 1
        self._counts[bucket] = self._counts.get(bucket, 0) + candidates

    def remove(self, deadline_s: float, candidates: int) -> None:
        """Remove candidates that were added with the same deadline."""
        bucket = _bucket(deadline_s)
        self.total -= candidates
        self.entries -= 1
        remaining = self._counts.get(bucket, 0) - candidates
        if remaining:
            self._counts[bucket] = remaining
        else:
            self._counts.pop(bucket, None)

    def by(self, deadline_s: float) -> int:
        """Count the candidates that are due before the end of the bucket that contains ``deadline_s``."""
        last = _bucket(deadline_s)
        return sum(count for bucket, count in self._counts.copy().items() if bucket <= last)


class DueByPriority:
    """Counts waiting candidates by priority and deadline."""

    def __init__(self) -> None:
        """Start empty."""
        self._due: dict[int, DueCandidates] = {}

    def add(self, priority: int, deadline_s: float, candidates: int) -> None:
        """Add candidates to the count."""
        due = self._due.get(priority)
        if due is None:
            due = self._due[priority] = DueCandidates()
        due.add(deadline_s, candidates)

    def remove(self, priority: int, deadline_s: float, candidates: int) -> None:
        """Remove candidates that were added with the same priority and deadline."""
        due = self._due[priority]
        due.remove(deadline_s, candidates)
        if not due.entries:
            del self._due[priority]

    def before(self, priority: int, deadline_s: float) -> int:
        """Count all candidates with a higher priority, and those with this priority that are due by ``deadline_s``."""
        return sum(
            due.total if other > priority else due.by(deadline_s)
            for other, due in self._due.copy().items()
            if other >= priority
        )

    def at_least(self, priority: int, deadline_s: float) -> int:
        """Count the candidates with this or a higher priority that are due by ``deadline_s``."""
        return sum(due.by(deadline_s) for other, due in self._due.copy().items() if other >= priority)


def _bucket(deadline_s: float) -> float:
    return deadline_s if deadline_s == math.inf else deadline_s * _BUCKETS_PER_S // 1
