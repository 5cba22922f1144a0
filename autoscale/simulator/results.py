"""The result of a simulation: totals, a timeline and the decisions. ``to_json`` returns JSON types."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RequestTotals:
    """Request counts by outcome. Each request is counted once.

    Attributes:
        arrived: all requests.
        in_time: answered in full within the objective.
        late: answered in full after the objective.
        degraded: answered by the fallback.
        shed: refused on arrival (429).
        dropped: accepted, and refused when the deadline passed.
        failed: lost when a replica died.
    """

    arrived: float
    in_time: float
    late: float
    degraded: float
    shed: float
    dropped: float
    failed: float

    @property
    def misses(self) -> float:
        """Requests that were not answered in full within the objective."""
        return self.late + self.degraded + self.shed + self.dropped + self.failed


@dataclass(frozen=True, slots=True)
class LatencyTotals:
    """Latencies of answered requests, including degraded answers. NaN if no request was answered."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class UnitTotals:
    """Totals for a unit in a pool.

    Attributes:
        replica_seconds: seconds for which replicas were starting, ready or draining.
        ready_seconds: seconds for which replicas were ready.
        busy_seconds: seconds for which replicas were computing.
        started: number of replicas that were started.
        lost: number of replicas that died.
        batches: number of computed batches.
        candidates: candidates in computed batches.
    """

    replica_seconds: float
    ready_seconds: float
    busy_seconds: float
    started: int
    lost: int
    batches: float
    candidates: float


@dataclass(frozen=True, slots=True)
class PoolTotals:
    """Totals for a pool's nodes. A node is paid for from its request to its removal, including ``provisioning_s``."""

    node_seconds: float
    cost: float
    peak_nodes: int
    started: int
    lost: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Series with one value per bin. Bin i is [start_s + i * bin_s, start_s + (i + 1) * bin_s).

    Counts, cost and latencies are for the bin. Latencies are NaN if the bin has no answers. The other values are for
    the time at which the bin ends. ``ready``, ``target`` and ``waiting_candidates`` are by ``<unit>@<pool>``, and
    ``nodes`` by pool.
    """

    start_s: float
    bin_s: float
    arrived: Series
    misses: Series
    degraded: Series
    shed: Series
    dropped: Series
    p50_ms: Series
    p95_ms: Series
    p99_ms: Series
    cost: Series
    ready: Mapping[str, Series]
    target: Mapping[str, Series]
    waiting_candidates: Mapping[str, Series]
    nodes: Mapping[str, Series]


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A policy decision.

    Attributes:
        at_s: when the policy decided.
        changed: whether a target changed.
        replicas: targets by ``<unit>@<pool>``.
        reasons: the policy's reasons by ``<unit>@<pool>``.
    """

    at_s: float
    changed: bool
    replicas: Mapping[str, int]
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident in the cluster: lost nodes or replicas, a notice for a spot node, or a replica without room."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """The result of one simulation.

    Attributes:
        violated_s: total time in bins in which more than 1% of requests missed the objective.
        events: number of request, batch and call events. 0 for the step engine.
    """

    pipeline: str
    engine: str
    seed: int
    start_s: float
    end_s: float
    p99_objective_ms: float
    cost: float
    violated_s: float
    requests: RequestTotals
    latency: LatencyTotals
    units: Mapping[str, UnitTotals]
    pools: Mapping[str, PoolTotals]
    timeline: Timeline
    decisions: tuple[DecisionRecord, ...]
    incidents: tuple[Incident, ...]
    events: int

    def to_json(self) -> dict[str, Any]:
        """Return the result in types that JSON supports. NaN and infinity become null."""
        plain: dict[str, Any] = _plain(asdict(self))
        plain["requests"]["misses"] = self.requests.misses
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value.tolist()]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
