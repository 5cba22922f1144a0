"""The last moment before a deadline, and the error for a late request."""

from autoscale.serving_rules import rescue_s
from services.errors import DeadlinePassed
from services.scheduling.work import Payload, Work


def last_moment_s(work: Work[Payload]) -> float:
    """Return the time, shortly before the deadline, at which a request without an answer is answered from memory."""
    return work.deadline_s - rescue_s(work.deadline_s - work.arrived_s)


def too_late() -> DeadlinePassed:
    """Return the error for a request whose deadline has passed."""
    return DeadlinePassed(
        "deadline_ms: passed before the answer was ready; send again, or send a longer deadline",
        retry_after_s=1,
    )
