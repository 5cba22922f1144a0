"""The last moments before a deadline, and the refusal of a request that is late."""

from services.errors import DeadlinePassed
from services.scheduling.work import Payload, Work

MARGIN_S = 0.005
"""Between the last stage and the deadline: the answer has to be written and sent."""
_RESCUE_BEFORE_S = 0.05
"""The sweep for late requests comes at most one period late, and an answer from memory takes its time."""
_RESCUE_SHARE = 0.25
"""A short deadline gives up no more than this share of it."""


def last_moment_s(work: Work[Payload]) -> float:
    """Return when a request is answered from memory if it has no answer yet: a little before its deadline."""
    return work.deadline_s - min(_RESCUE_BEFORE_S, _RESCUE_SHARE * (work.deadline_s - work.arrived_s))


def too_late() -> DeadlinePassed:
    """Return the refusal of a request that passed its deadline."""
    return DeadlinePassed(
        "the deadline passed before the answer was ready: send again, or give a longer deadline_ms",
        retry_after_s=1,
    )
