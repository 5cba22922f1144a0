"""Admission decides whether a request is queued or refused, and how much time the queue leaves to a batch.

Both follow from recent batch times. The present time is an argument.
"""

from typing import Any

from autoscale import serving_rules as rules
from services.errors import DeadlinePassed
from services.scheduling.batcher import Batcher
from services.scheduling.deadlines import too_late


class Admission:
    """The expected batch time, and the decisions that follow from it.

    ``refusal`` and ``share_s`` may be called by any thread, without a lock.

    Attributes:
        max_in_flight: batches that may be in flight at once.
        seconds_per_batch: a full batch's expected time, 0 at the start.
    """

    def __init__(
        self,
        batcher: "Batcher[Any]",
        *,
        max_candidates: int,
        max_in_flight: int,
        promises: bool,
        threads: int = 1,
        horizon_s: float = float("inf"),
    ) -> None:
        """Prepare to decide about requests for the queue of ``batcher``.

        Args:
            batcher: the queue.
            max_candidates: candidates in a full batch.
            max_in_flight: batches that may be in flight at once.
            promises: whether every admitted request gets an answer, if necessary from memory.
            threads: the number of model threads.
            horizon_s: the default deadline as a duration. Waiting work that is due later takes no time from a batch.
        """
        self._batcher, self._threads = batcher, threads
        self._max_candidates, self.max_in_flight = max_candidates, max_in_flight
        self._promises, self._horizon_s = promises, horizon_s
        self.seconds_per_batch = 0.0
        self._refused_at_s = float("-inf")
        """The time of the last refusal because of work ahead."""
        self._overloaded_at_s = float("-inf")
        """The time of the last refusal that shows an overload."""

    def learn(self, elapsed_s: float, candidates: int) -> None:
        """Learn from a batch of ``candidates``, which may be more than a full batch.

        Time beyond the horizon is ignored, because such a batch no longer counts as in flight and delays no others.
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
            deadline_s: when the answer becomes worthless.
            now_s: the present time.
            due_s: the deadline that decides the request's place in the queue. Default: ``deadline_s``.
        """
        batches = self._batcher.batches_ahead(priority, deadline_s if due_s is None else due_s)
        left_s = deadline_s - now_s
        if not rules.is_refused(batches, self.seconds_per_batch, self.max_in_flight, left_s, self._promises):
            return None
        if not batches:
            return too_late()
        self._refused_at_s = now_s
        if rules.shows_overload(priority, left_s, self._horizon_s):
            self._overloaded_at_s = now_s
        return DeadlinePassed(
            f"deadline_ms: too short for the work ahead of this request, got {left_s * 1e3:.0f} ms until the deadline; "
            f"send again later, or send a longer deadline",
            retry_after_s=1,
        )

    def has_refused_recently(self, now_s: float) -> bool:
        """Return whether a request was refused recently because of the work ahead of it."""
        return now_s - self._refused_at_s < rules.OVERLOAD_LASTS_S

    def share_s(self, priority: int, now_s: float) -> float:
        """Return the time that a batch of this priority may take: an equal part of the horizon for each waiting batch.

        With several model threads, as many batches have the same part, because they run at once.
        The aim is to serve the queue within the horizon, whatever deadlines callers send. Otherwise one request with a
        short deadline would lower the quality for others, and long deadlines would keep the queue long. The result is 0
        for a short time after a refusal that shows an overload.
        """
        candidates = self._batcher.due_with(priority, now_s + self._horizon_s)
        batches = candidates / (self._max_candidates * self._threads)
        return rules.batch_share_s(now_s - self._overloaded_at_s, batches, self._horizon_s)
