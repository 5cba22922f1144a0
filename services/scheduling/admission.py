"""Admission decides whether a request is queued or refused, and how much time the queue leaves to a batch.

Both follow from the time that recent batches took. Time is an argument.
"""

from typing import Any

from autoscale import serving_rules as rules
from services.errors import DeadlinePassed
from services.scheduling.batcher import Batcher
from services.scheduling.deadlines import too_late


class Admission:
    """The expected time of a batch, and the decisions that follow from it.

    ``refusal`` and ``share_s`` may be called by any thread, without a lock.

    Attributes:
        max_in_flight: batches that may be in flight at once.
        seconds_per_batch: the expected time of a full batch, 0 at the start.
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
        """Decide for the queue of ``batcher``.

        Args:
            batcher: the queue.
            max_candidates: candidates of a full batch.
            max_in_flight: batches that may be in flight at once.
            promises: every admitted request gets an answer, if necessary from memory.
            horizon_s: the default deadline of requests. Work that is due later does not lower the quality.
        """
        self._batcher = batcher
        self._max_candidates, self.max_in_flight = max_candidates, max_in_flight
        self._promises, self._horizon_s = promises, horizon_s
        self.seconds_per_batch = 0.0
        self._overloaded_at_s = float("-inf")
        """The last refusal that shows an overload."""

    def learn(self, elapsed_s: float, candidates: int) -> None:
        """Learn from a batch of ``candidates``, which may be more than a full batch.

        At most the horizon is learned. After it, a batch no longer counts as in flight and delays no others.
        """
        self.seconds_per_batch = rules.learned_batch_s(
            self.seconds_per_batch,
            elapsed_s,
            candidates,
            self._max_candidates,
            self._horizon_s,
            self._promises,
        )

    def refusal(
        self, priority: int, deadline_s: float, now_s: float, *, due_s: float | None = None
    ) -> DeadlinePassed | None:
        """Return the error for a request that would be late if it were queued now. None if it may be in time.

        Args:
            priority: the request's priority.
            deadline_s: when the request's answer becomes worthless.
            now_s: the present.
            due_s: the deadline by which the request is queued, if it is not ``deadline_s``.
        """
        batches = self._batcher.batches_ahead(priority, deadline_s if due_s is None else due_s)
        left_s = deadline_s - now_s
        if not rules.is_refused(batches, self.seconds_per_batch, self.max_in_flight, left_s, self._promises):
            return None
        if not batches:
            return too_late()
        if rules.shows_overload(priority, left_s, self._horizon_s):
            self._overloaded_at_s = now_s
        return DeadlinePassed(
            f"deadline_ms: too short for the work that is served before, got {left_s * 1e3:.0f}; send again later, or "
            f"send a longer one",
            retry_after_s=1,
        )

    def share_s(self, priority: int, now_s: float) -> float:
        """Return the time that the queue leaves to a batch of this priority, in equal parts for all waiting batches.

        The queue is to be served within the horizon, whatever deadlines callers ask for. Otherwise a short deadline
        would lower the quality of other requests. A long deadline would keep the quality high and the queue long. The
        result is 0 for a while after a request was refused that had nearly the whole horizon left.
        """
        batches = self._batcher.due_with(priority, now_s + self._horizon_s) / self._max_candidates
        return rules.batch_share_s(now_s - self._overloaded_at_s, batches, self._horizon_s)
