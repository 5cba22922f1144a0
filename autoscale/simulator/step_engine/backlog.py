"""The step engine's backlog: its largest size, and its distribution over the units."""

from collections.abc import Mapping
from dataclasses import dataclass

from autoscale.serving_rules import PLANNED_SHARE
from autoscale.spec import PipelineSpec

_NO_LIMIT = 1e18
WAITS = 0.6 * PLANNED_SHARE
"""With a fallback, a request waits at most this share of its deadline. Batches that would take more than their share of
the queue's time go to the fallback, so a backlog settles below ``PLANNED_SHARE``. 0.6 is an approximation."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The part of a backlog in one unit.

    Attributes:
        requests: requests in its queues.
        ongoing: requests at its replicas. Behind the ingress these are calls.
        most_ongoing: the highest possible number of ongoing calls, with or without a backlog. The previous unit may
            have this many calls in flight.
    """

    requests: float
    ongoing: float
    most_ongoing: float


def most_waiting(spec: PipelineSpec, replicas: Mapping[str, int], per_s: float, candidates: float) -> float:
    """Return the largest number of waiting requests, by the deadline and by the queue limit.

    Args:
        spec: the pipeline.
        replicas: open replicas by unit.
        per_s: requests per second that are served.
        candidates: mean candidates per request.
    """
    by_time = per_s * spec.deadline_ms / 1e3 * (WAITS if spec.fallback is not None else 1.0)
    last = spec.units[-1]
    return min(by_time, replicas[last.name] * last.max_waiting_candidates / candidates)


def spread(
    spec: PipelineSpec, replicas: Mapping[str, int], backlog: float, candidates: float
) -> dict[str, Behind]:
    """Distribute a backlog over the units.

    Each unit passes on as many requests as its calls in flight allow, and the rest waits in its queues.
    """
    behind: dict[str, Behind] = {}
    left, limit = backlog, _NO_LIMIT
    for index, unit in enumerate(spec.units):
        full = max(1.0, unit.max_candidates / candidates)
        # The earlier unit uses all its calls in flight, so the queues of later units fill first.
        passes = 0.0
        in_flight = replicas[unit.name] * unit.max_calls_in_flight
        if index + 1 < len(spec.units):
            passes = min(left, in_flight * full)
        behind[unit.name] = Behind(left - passes, left if not index else left / full, limit)
        left, limit = passes, float(in_flight)
    return behind
