"""The last moments before a deadline, and the refusal of a request that is late."""

from autoscale.serving_rules import rescue_s
from services.errors import DeadlinePassed
from services.scheduling.work import Payload, Work


def last_moment_s(work: Work[Payload]) -> float:
    """Return when a request is answered from memory if it has no answer yet: a little before its deadline."""
    return work.deadline_s - rescue_s(work.deadline_s - work.arrived_s)


def too_late() -> DeadlinePassed:
    """Return the refusal of a request that passed its deadline."""
    return DeadlinePassed(
        "deadline_ms: passed before the answer was ready; send again, or send a longer one",
        retry_after_s=1,
    )
