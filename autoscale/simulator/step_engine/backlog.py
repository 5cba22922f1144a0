"""Where a backlog stands, for the stepped engine: how much of it there can be, and what of it is in which unit."""

from collections.abc import Mapping
from dataclasses import dataclass

from autoscale.serving_rules import PLANNED_SHARE
from autoscale.spec import PipelineSpec

_NO_LIMIT = 1e18
WAITS = 0.6 * PLANNED_SHARE
"""With a fallback, a request waits at most this share of its deadline. A batch that would take more than its share of
the queue's time goes to the fallback, so a backlog settles below ``PLANNED_SHARE``. The 0.6 is an approximation."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What a backlog adds to a unit. requests: in its queues; ongoing: at its replicas, calls behind the ingress.

    most_ongoing: of them, with what is there anyway: what the units before have in flight.
    """

    requests: float
    ongoing: float
    most_ongoing: float


def most_waiting(spec: PipelineSpec, replicas: Mapping[str, int], per_s: float, candidates: float) -> float:
    """Give how many requests wait at most where so many are done a second: by deadline and queue limit."""
    by_time = per_s * spec.deadline_ms / 1e3 * (WAITS if spec.fallback is not None else 1.0)
    last = spec.units[-1]
    return min(by_time, replicas[last.name] * last.max_waiting_candidates / candidates)


def spread(
    spec: PipelineSpec, replicas: Mapping[str, int], backlog: float, candidates: float
) -> dict[str, Behind]:
    """Say what of a backlog is where, by unit: it waits at the ingress, but for what limits of calls let through."""
    behind: dict[str, Behind] = {}
    left, limit = backlog, _NO_LIMIT
    for index, unit in enumerate(spec.units):
        full = max(1.0, unit.max_candidates / candidates)
        # Of what may pass on, all does: the next units' queues fill first.
        passes = 0.0
        in_flight = replicas[unit.name] * unit.max_calls_in_flight
        if index + 1 < len(spec.units):
            passes = min(left, in_flight * full)
        behind[unit.name] = Behind(left - passes, left if not index else left / full, limit)
        left, limit = passes, float(in_flight)
    return behind
