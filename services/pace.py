"""The pace of a queue: how fast it drains, and what that leaves to a request, and to a batch. Time is an argument."""

from typing import Any

from services.batching import Batcher
from services.errors import DeadlinePassed
from services.jobs import too_late

_SHARE = 0.25
"""Of the time that the queue has, batches are planned to take this: quality gives way before anyone is refused."""
_REFUSING_S = 0.1
"""So long after a refusal nobody keeps quality, of whatever priority: all that is left is to answer more."""
_ADMITTED = 0.75
"""Of its time, a request may wait this behind what is before it, where it is promised an answer."""
_PATIENT = 0.9
"""A request with less of the horizon left may be refused for its own deadline."""
_LEARNT = 0.1
# One slow batch must not shed the requests after it: the expectation rises slowly and falls fast. Where a slow batch
# can be replaced by a cheap one that would tell too little: both count alike.
_RISING, _FALLING = 0.1, 0.5
_OUTLIER = 8.0
"""A batch that took so many times as long was held up, with the whole process: the next ones will not be."""


class Pace:
    """What a batch lately took, and what follows for those that wait. ``promises``: slow batches are replaced."""

    def __init__(
        self,
        batcher: "Batcher[Any]",
        *,
        max_candidates: int,
        max_in_flight: int,
        promises: bool,
        horizon_s: float = float("inf"),
    ) -> None:
        """Look at ``batcher``, whose batches of ``max_candidates`` are under way ``max_in_flight`` at once.

        horizon_s: the deadline that requests have by default. Work that is due later leaves quality as it is.
        """
        self._batcher = batcher
        self._max_candidates, self._max_in_flight = max_candidates, max_in_flight
        self._promises, self._horizon_s = promises, horizon_s
        self.seconds_per_batch = 0.0
        self._refused_s = float("-inf")

    def learn(self, elapsed_s: float, candidates: int) -> None:
        """Learn from a batch of ``candidates``, which may be several full ones at once."""
        expected_s = self.seconds_per_batch
        taken_s = elapsed_s / max(1.0, candidates / self._max_candidates)
        if expected_s:
            taken_s = min(taken_s, _OUTLIER * expected_s)
        rate = _LEARNT if self._promises else _RISING if taken_s > expected_s else _FALLING
        self.seconds_per_batch += (taken_s - expected_s) * rate

    def refusal(self, priority: int, deadline_s: float, now_s: float) -> DeadlinePassed | None:
        """Give the refusal of what would come too late, were it queued now; None when it may well be in time."""
        batches = self._batcher.batches_ahead(priority, deadline_s)
        if not batches:
            return too_late() if now_s > deadline_s else None
        ahead_s = batches * self.seconds_per_batch / self._max_in_flight
        left_s = deadline_s - now_s
        if ahead_s <= (_ADMITTED if self._promises else 1.0) * left_s:
            return None
        if left_s >= _PATIENT * self._horizon_s:
            self._refused_s = now_s
        return DeadlinePassed(
            f"{self._batcher.waiting_candidates} candidates go before this request, more than its deadline "
            f"allows: send again later, or give it a longer deadline_ms",
            retry_after_s=1,
        )

    def share_s(self, priority: int, now_s: float) -> float:
        """Return the time that the queue leaves to a batch of this priority: in equal parts for all that wait.

        The queue has the horizon, whatever deadlines callers ask for: a short one must not take quality from the
        others, and a long one must not keep the queue from being drained by less. While requests are refused that
        came with all of the horizon, there is no time for any quality.
        """
        if now_s - self._refused_s < _REFUSING_S:
            return 0.0
        behind = self._batcher.due_with(priority, now_s + self._horizon_s) / self._max_candidates
        return _SHARE * self._horizon_s / (1 + behind) if behind else float("inf")
