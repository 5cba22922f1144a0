"""The serving rules: what a replica admits, how long a batch may take, and what it learns from one.

The scheduler (``services/scheduling``) calls these functions as they are. The simulator compiles the same functions
(``simulator/event_engine/rules.py``). So a rule takes and returns plain numbers, calls no other rule, and this module
imports nothing but ``math``. Times are in seconds.

A queue that *promises* answers every request that it admits, from memory if need be. The *horizon* is the deadline
that requests have by default.
"""

from math import frexp, inf

ADMITTED_SHARE = 0.75
"""A queue that promises admits a request if the work before it takes at most this share of its time."""
PATIENT_SHARE = 0.9
"""Only the refusal of a request with this share of the horizon left shows an overload."""
OVERLOAD_LASTS_S = 0.1
"""For this long after a refusal that shows an overload, batches are answered from memory."""
PLANNED_SHARE = 0.5
"""Batches are planned to use this share of the horizon, so that quality gives way before requests are refused."""
OUTLIER_FACTOR = 8.0
"""A longer batch counts as this many times the expected time: the whole process was probably stalled."""
PROMISED_RATE = 0.1
"""Weight of the newest batch where slow batches are replaced by cheap ones: both directions count alike."""
RISING_RATE, FALLING_RATE = 0.1, 0.5
"""The same elsewhere: one slow batch must not cause refusals, so the estimate rises slowly and falls fast."""
RESCUE_BEFORE_S = 0.05
"""A request is answered from memory this long before its deadline: a sweep may be late, and the answer takes time."""
RESCUE_SHARE = 0.25
"""A short deadline gives up no more than this share of it."""
SWEEP_PERIOD_S = 0.02
"""The period in which a runner looks for requests that are about to miss their deadline."""
MARGIN_S = 0.005
"""Between the last stage and the deadline: the answer has to be written and sent."""
CALL_MARGINS = 3
"""Margins between the end of a call's patience and the deadline: for the call, the rung below, and the answer."""


def learned_batch_s(
    known_s: float, elapsed_s: float, candidates: int, max_candidates: int, horizon_s: float, promises: bool
) -> float:
    """Return the expected time of a full batch after one of ``candidates`` took ``elapsed_s``.

    known_s: the expected time before; 0 if there is none. A batch of more than ``max_candidates`` counts as several
    full ones. After the horizon a batch has given its place back, so that it holds up no others.
    """
    taken_s = min(elapsed_s, horizon_s) / max(1.0, candidates / max_candidates)
    if known_s > 0:
        taken_s = min(taken_s, OUTLIER_FACTOR * known_s)
    rate = PROMISED_RATE if promises else RISING_RATE if taken_s > known_s else FALLING_RATE
    return known_s + (taken_s - known_s) * rate


def is_refused(batches_ahead: int, batch_s: float, max_in_flight: int, left_s: float, promises: bool) -> bool:
    """Return whether a request with ``left_s`` until its deadline would be late behind ``batches_ahead``.

    batch_s: the expected time of a full batch, of which ``max_in_flight`` are under way at once.
    """
    if batches_ahead == 0:
        return left_s < 0
    return batches_ahead * batch_s / max(1, max_in_flight) > (ADMITTED_SHARE if promises else 1.0) * left_s


def shows_overload(priority: int, left_s: float, horizon_s: float) -> bool:
    """Return whether the refusal of a request shows that the queue, and not the request, lacks time."""
    return priority >= 0 and left_s >= PATIENT_SHARE * horizon_s


def least_left_s(batch_s: float, promises: bool) -> float:
    """Return the least time before its deadline with which a request joins a batch.

    A request that is promised an answer waits for it until the deadline.
    """
    return 0.0 if promises else batch_s


def batch_share_s(since_refusal_s: float, batches_behind: float, horizon_s: float) -> float:
    """Return the time that the queue leaves to a batch: in equal parts for all that wait; infinite if none does.

    since_refusal_s: since the last refusal that shows an overload; for a while after it there is no time.
    """
    if since_refusal_s < OVERLOAD_LASTS_S:
        return 0.0
    if batches_behind <= 0:
        return inf
    return PLANNED_SHARE * horizon_s / (1 + batches_behind)


def stage_left_s(last_moment_s: float, now_s: float, reserve_s: float) -> float:
    """Return the time that a request leaves to its next stage; ``reserve_s`` is for the stages after it."""
    return last_moment_s - now_s - reserve_s - MARGIN_S


def rescue_s(deadline_after_s: float) -> float:
    """Return how long before its deadline a request is answered from memory, if the deadline is so long after it."""
    return min(RESCUE_BEFORE_S, RESCUE_SHARE * deadline_after_s)


def call_until_s(last_moment_s: float, now_s: float, below_s: float, expected_s: float) -> float:
    """Return until when a request waits for a call that is sent now: as long as less than it could still be in time.

    last_moment_s: when the request is answered from memory. below_s: the expected time of the rung below and of the
    stages after it. expected_s: that of the call, for which the request waits in any case.
    """
    enough_s = min(now_s + (expected_s + MARGIN_S), last_moment_s)
    return max(now_s + MARGIN_S, last_moment_s - (below_s + CALL_MARGINS * MARGIN_S), enough_s)


def size_bucket(candidates: int) -> int:
    """Return the power of two that the size of a batch falls into: 1 for 1, 2 for 2 and 3, 3 for 4 to 7."""
    return frexp(candidates)[1] or 1


def in_proportion_s(known_s: float, known_bucket: int, bucket: int) -> float:
    """Return the longest time of a batch in ``bucket`` if one in ``known_bucket`` takes ``known_s``.

    Batching never costs more: a larger batch takes no more than in proportion, a smaller one no longer.
    """
    return known_s * 2.0 ** max(0, bucket - known_bucket)
