"""What the two engines have in common: how they are driven, and what they are asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autoscale.simulator.cluster.nodes import NodeChange, Replica
from autoscale.spec import Key

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UnitCounts:
    """What one unit in one pool has counted since the start; waiting_candidates: now.

    missed_requests: of the ingress, shed for lack of time or answered after the objective.
    ongoing_s: the integral over time of requests (calls, behind the ingress) that its replicas had.
    """

    arrived_requests: float
    arrived_candidates: float
    served_candidates: float
    shed_requests: float
    missed_requests: float
    waiting_candidates: float
    ongoing_s: float
    batches: float
    busy_s: float


class SimulationEngine(Protocol):
    """Requests and replicas between two looks of the control loop."""

    @property
    def start_s(self) -> float:
        """When the first request comes, or where the trace was asked to start."""
        ...

    def end_s(self, until_s: float) -> float:
        """Give when the last request comes, if that is before ``until_s``; else infinity."""
        ...

    def advance(self, until_s: float) -> None:
        """Let happen what happens before ``until_s``."""
        ...

    def apply(self, change: NodeChange) -> None:
        """Route to a replica, no more, or lose it."""
        ...

    def is_idle(self, replica: Replica) -> bool:
        """Whether a replica that is not routed to holds nothing any more."""
        ...

    def weigh(self, unit: str, weights: Mapping[str, float]) -> None:
        """Split the unit's candidates over its pools by these weights from now on."""
        ...

    def measure(self) -> Mapping[Key, UnitCounts]:
        """Give what was counted so far."""
        ...

    def totals(self) -> Floats:
        """Return what became of requests so far, by the indices that the event engine's ``state`` names."""
        ...

    def latencies(self) -> Floats:
        """Give the histogram of latencies so far, (BUCKETS,)."""
        ...

    def finish(self) -> int:
        """Let end what is under way though no request comes any more; give the events in all."""
        ...
