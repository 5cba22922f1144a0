"""Overdue replicas: replicas of a pool that were requested long ago and still do not answer.

The provider may have no nodes of this kind, or the replicas may fail when they start. A unit in several pools must not
count on them, because other pools could serve the load.
"""

from dataclasses import dataclass

from autoscale.policies.base import UnitObservation

_TIMES_USUAL, _LEAST_S = 2.0, 30.0


@dataclass(frozen=True, slots=True)
class Awaited:
    """The wait for replicas of a unit in a pool.

    Attributes:
        since_s: when the first of them was requested, or when the last replica became ready.
        ready: the ready replicas.
    """

    since_s: float
    ready: int


def awaited(before: Awaited | None, now_s: float, unit: UnitObservation) -> Awaited | None:
    """Return the wait after an observation. None if all requested replicas are ready.

    Each replica that becomes ready begins the wait again, so that a slow pool is not given up while it makes progress.
    """
    if unit.ready >= unit.target:
        return None
    if before is None or unit.ready > before.ready:
        return Awaited(now_s, unit.ready)
    return Awaited(before.since_s, unit.ready)


def patience_s(lead_s: float) -> float:
    """Return how long replicas are awaited, if a new node and a replica together usually take ``lead_s``."""
    return max(_LEAST_S, _TIMES_USUAL * lead_s)
