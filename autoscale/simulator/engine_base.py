"""The interface that both engines have."""

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
    """Counters for one unit in one pool since the start.

    Attributes:
        arrived_requests: requests that arrived.
        arrived_candidates: their candidates.
        served_candidates: candidates in computed batches.
        shed_requests: requests that were refused or answered by the fallback.
        missed_requests: at the ingress, requests that were shed for lack of time or answered after the objective.
        waiting_candidates: candidates that wait now.
        ongoing_s: number of requests at its replicas, integrated over time. Behind the ingress, calls are counted.
        batches: number of computed batches.
        busy_s: time for which its replicas were computing.
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
    """Simulates requests and replicas between two runs of the control loop."""

    @property
    def start_s(self) -> float:
        """The time at which the first request arrives, or the requested start time."""
        ...

    def end_s(self, until_s: float) -> float:
        """Return the arrival time of the last request, or infinity if it does not arrive before ``until_s``."""
        ...

    def advance(self, until_s: float) -> None:
        """Simulate up to ``until_s``."""
        ...

    def apply(self, change: NodeChange) -> None:
        """Apply a replica change: start routing to it, stop routing to it, or remove it."""
        ...

    def is_idle(self, replica: Replica) -> bool:
        """Return whether a replica has no requests left. Routing to the replica must have stopped."""
        ...

    def weigh(self, unit: str, weights: Mapping[str, float]) -> None:
        """Split the unit's candidates over its pools by these weights from now on."""
        ...

    def measure(self) -> Mapping[Key, UnitCounts]:
        """Return the counters by key."""
        ...

    def totals(self) -> Floats:
        """Return request totals by outcome. The event engine's ``state`` module defines the indices."""
        ...

    def latencies(self) -> Floats:
        """Return (BUCKETS,) the latency histogram."""
        ...

    def finish(self) -> int:
        """Finish all requests in progress without new arrivals, and return how many events there were in total."""
        ...
