"""Admission: whether a request is queued or refused, and how much time the queue leaves to a batch.

Both follow from the time that the last batches took. Time is an argument.
"""

from typing import Any

from services.errors import DeadlinePassed
from services.scheduling.batcher import Batcher
from services.scheduling.deadlines import too_late

_PLANNED_SHARE = 0.5
"""Batches are planned to use this share of the horizon, so that quality gives way before requests are refused."""
_OVERLOAD_LASTS_S = 0.1
"""For so long after a refusal that shows an overload, batches are answered from memory."""
_ADMITTED_SHARE = 0.75
"""A request that is promised an answer is admitted if the work before it takes at most this share of its time."""
_PATIENT_SHARE = 0.9
"""Only the refusal of a request with this share of the horizon left, and no priority below 0, shows an overload."""
_LEARNING_RATE = 0.1
# One slow batch must not cause refusals: the estimate rises slowly and falls fast. If slow batches are replaced by
# cheap ones, such an estimate would be too low, so both directions count alike.
_RISING_RATE, _FALLING_RATE = 0.1, 0.5
_OUTLIER_FACTOR = 8.0
"""A longer batch counts as so many times the expected time: the whole process was probably stalled."""


class Admission:
    """The expected time of a batch, and the decisions that follow from it.

    promises: a request that was admitted gets an answer, from memory if need be. max_in_flight: batches that are under
    way at once. ``refusal`` and ``share_s`` may be called by any thread, without a lock.
    """

    def __init__(
        self,
        batcher: "Batcher[Any]",
        *,
        max_candidates: int,
        max_in_flight: int,
        promises: bool,
        horizon_s: float = float("inf"),
    ) -> None:
        """Decide for the queue of ``batcher``, whose batches have ``max_candidates``.

        horizon_s: the deadline that requests have by default. Work that is due later leaves quality as it is.
        """
        self._batcher = batcher
        self._max_candidates, self.max_in_flight = max_candidates, max_in_flight
        self._promises, self._horizon_s = promises, horizon_s
        self.seconds_per_batch = 0.0
        self._overloaded_at_s = float("-inf")
        """The last refusal that shows an overload."""

    def learn(self, elapsed_s: float, candidates: int) -> None:
        """Learn from a batch of ``candidates``, which may be several full ones at once.

        After the horizon, a batch no longer counts as in flight, so it holds up no others.
        """
        expected_s = self.seconds_per_batch
        taken_s = min(elapsed_s, self._horizon_s) / max(1.0, candidates / self._max_candidates)
        if expected_s:
            taken_s = min(taken_s, _OUTLIER_FACTOR * expected_s)
        rate = _LEARNING_RATE if self._promises else _RISING_RATE if taken_s > expected_s else _FALLING_RATE
        self.seconds_per_batch += (taken_s - expected_s) * rate

    def refusal(
        self, priority: int, deadline_s: float, now_s: float, *, due_s: float | None = None
    ) -> DeadlinePassed | None:
        """Return the error for a request that would be late if it were queued now; None if it may be in time.

        due_s: the deadline by which it is queued, if that is another.
        """
        batches = self._batcher.batches_ahead(priority, deadline_s if due_s is None else due_s)
        if not batches:
            return too_late() if now_s > deadline_s else None
        ahead_s = batches * self.seconds_per_batch / max(1, self.max_in_flight)
        left_s = deadline_s - now_s
        if ahead_s <= (_ADMITTED_SHARE if self._promises else 1.0) * left_s:
            return None
        if priority >= 0 and left_s >= _PATIENT_SHARE * self._horizon_s:
            self._overloaded_at_s = now_s
        return DeadlinePassed(
            f"deadline_ms: too short for the work that is due before, got {left_s * 1e3:.0f}; send again later, or "
            f"send a longer one",
            retry_after_s=1,
        )

    def share_s(self, priority: int, now_s: float) -> float:
        """Return the time that the queue leaves to a batch of this priority: in equal parts for all that wait.

        The queue has the horizon, whatever deadlines callers ask for: a short one must not take quality from the
        others, and a long one must not keep the queue from being drained by less. While requests are refused that
        came with all of the horizon, there is no time for any quality.
        """
        if now_s - self._overloaded_at_s < _OVERLOAD_LASTS_S:
            return 0.0
        candidates = self._batcher.due_with(priority, now_s + self._horizon_s)
        if not candidates:
            return float("inf")
        return _PLANNED_SHARE * self._horizon_s / (1 + candidates / self._max_candidates)
