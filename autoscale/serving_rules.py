"""The serving rules: which requests a replica admits, how long a batch may take, and how batch times are estimated.

The scheduler (``services/scheduling``) calls these functions directly. The simulator compiles the same functions
(``simulator/event_engine/rules.py``). Therefore a rule takes and returns plain numbers and calls no other rule, and
this module imports only ``math``. Times are in seconds.

A queue that *promises* answers every request that it admits, if necessary from memory. The *horizon* is the default
deadline, as a duration.
"""

from math import frexp, inf

ADMITTED_SHARE = 0.75
"""A queue that promises admits a request if the work ahead of it takes at most this share of its remaining time."""
PATIENT_SHARE = 0.9
"""A refusal shows an overload only if the request has at least this share of the horizon left."""
OVERLOAD_LASTS_S = 0.1
"""Batches are answered from memory for this time after a refusal that shows an overload."""
PLANNED_SHARE = 0.5
"""Batches are planned to take this share of the horizon in total. So quality is reduced before requests are refused."""
OUTLIER_FACTOR = 8.0
"""A batch time counts as at most this many times the expected time. Longer times are probably process stalls."""
PROMISED_RATE = 0.1
"""The newest batch time's weight if the queue promises. It is the same for slower and for faster batches, because cheap
batches replace slow ones."""
RISING_RATE, FALLING_RATE = 0.1, 0.5
"""The weights if the queue does not promise. One slow batch must not cause refusals, so the estimate rises slowly."""
RESCUE_BEFORE_S = 0.05
"""A request is answered from memory this long before its deadline, because a sweep may be late and the answer takes
time. A sweep looks for such requests."""
RESCUE_SHARE = 0.25
"""For a request with a short deadline, ``RESCUE_BEFORE_S`` is limited to this share of the deadline."""
SWEEP_PERIOD_S = 0.02
"""The interval of the sweep, in which a runner looks for requests that are about to miss their deadline."""
MARGIN_S = 0.005
"""Reserve between the last stage and the deadline, to write and send the answer."""
CALL_MARGINS = 3
"""Number of ``MARGIN_S`` between a call's timeout and the deadline: for the call, the rung below and the answer."""


def learned_batch_s(
    known_s: float, elapsed_s: float, candidates: int, max_candidates: int, horizon_s: float, promises: bool
) -> float:
    """Return the new estimate for a full batch, after a batch with ``candidates`` took ``elapsed_s``.

    A batch above ``max_candidates`` counts as several full batches. Time beyond the horizon is ignored, because by then
    the batch has released its slot and delays no other batch.

    Args:
        known_s: the previous estimate. 0 if there is none.
        elapsed_s: the new batch's time.
        candidates: its number of candidates.
        max_candidates: the candidates in a full batch.
        horizon_s: the default deadline.
        promises: whether the queue answers every request that it admits.
    """
    taken_s = min(elapsed_s, horizon_s) / max(1.0, candidates / max_candidates)
    if known_s > 0:
        taken_s = min(taken_s, OUTLIER_FACTOR * known_s)
    rate = PROMISED_RATE if promises else RISING_RATE if taken_s > known_s else FALLING_RATE
    return known_s + (taken_s - known_s) * rate


def is_refused(batches_ahead: int, batch_s: float, max_in_flight: int, left_s: float, promises: bool) -> bool:
    """Return whether a request must be refused, because it would be late behind the work ahead of it.

    Args:
        batches_ahead: full batches that are served before the request.
        batch_s: the expected time for a full batch.
        max_in_flight: the number of batches that run at once.
        left_s: time until the request's deadline.
        promises: whether the queue answers every request that it admits.
    """
    if batches_ahead == 0:
        return left_s < 0
    return batches_ahead * batch_s / max(1, max_in_flight) > (ADMITTED_SHARE if promises else 1.0) * left_s


def shows_overload(priority: int, left_s: float, horizon_s: float) -> bool:
    """Return whether a refusal shows that the queue is overloaded.

    It shows no overload if the request had a negative priority or little time left.
    """
    return priority >= 0 and left_s >= PATIENT_SHARE * horizon_s


def least_left_s(batch_s: float, promises: bool) -> float:
    """Return the time that a request must still have until its deadline to join a batch.

    If the queue promises, a request may join until its deadline.
    """
    return 0.0 if promises else batch_s


def batch_share_s(since_refusal_s: float, batches_behind: float, horizon_s: float) -> float:
    """Return the time that a batch may take, given the queue behind it.

    The planned time is divided equally between this batch and the batches behind it. The result is infinite if the
    queue is empty, and 0 shortly after a refusal that shows an overload.

    Args:
        since_refusal_s: time since the last refusal that shows an overload.
        batches_behind: the waiting work, in full batches.
        horizon_s: the default deadline.
    """
    if since_refusal_s < OVERLOAD_LASTS_S:
        return 0.0
    if batches_behind <= 0:
        return inf
    return PLANNED_SHARE * horizon_s / (1 + batches_behind)


def stage_left_s(last_moment_s: float, now_s: float, reserve_s: float) -> float:
    """Return the time that is left for a request's next stage. ``reserve_s`` is for the stages after that."""
    return last_moment_s - now_s - reserve_s - MARGIN_S


def rescue_s(deadline_after_s: float) -> float:
    """Return how long before its deadline a request is answered from memory.

    Args:
        deadline_after_s: time from the request's arrival to its deadline.
    """
    return min(RESCUE_BEFORE_S, RESCUE_SHARE * deadline_after_s)


def call_until_s(last_moment_s: float, now_s: float, below_s: float, expected_s: float) -> float:
    """Return the time until which a request waits for a call that is sent now.

    It waits as long as the rung below could still answer in time, but in any case for the call's expected time.

    Args:
        last_moment_s: the time at which the request is answered from memory.
        now_s: the present.
        below_s: the expected time for the rung below and the stages after it.
        expected_s: the call's expected time.
    """
    enough_s = min(now_s + (expected_s + MARGIN_S), last_moment_s)
    return max(now_s + MARGIN_S, last_moment_s - (below_s + CALL_MARGINS * MARGIN_S), enough_s)


def size_bucket(candidates: int) -> int:
    """Return the bucket for a batch size, by powers of two: 1 for 1 candidate, 2 for 2 and 3, 3 for 4 to 7."""
    return frexp(candidates)[1] or 1


def in_proportion_s(known_s: float, known_bucket: int, bucket: int) -> float:
    """Return the longest time for a batch in ``bucket`` if a batch in ``known_bucket`` takes ``known_s``.

    Batching never makes candidates more expensive: a larger batch takes at most proportionally longer, and a smaller
    batch takes no longer.
    """
    return known_s * 2.0 ** max(0, bucket - known_bucket)
