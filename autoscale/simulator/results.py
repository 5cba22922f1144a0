"""What a simulation gives: totals, series over time and every decision; plain, and JSON-able by ``to_json``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RequestTotals:
    """Requests by what became of them; each is counted once.

    in_time: answered whole within the objective. late: answered whole, after it. degraded: answered by the fallback.
    shed: refused at the door (429). dropped: accepted, and refused when the deadline passed. failed: lost with a
    replica that died.
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
        """What was not answered whole within the objective."""
        return self.late + self.degraded + self.shed + self.dropped + self.failed


@dataclass(frozen=True, slots=True)
class LatencyTotals:
    """Of requests that were answered, degraded ones included; NaN where none was."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class UnitTotals:
    """A unit in a pool. replica_seconds: starting, ready and draining ones; ready_seconds: ready ones."""

    replica_seconds: float
    ready_seconds: float
    busy_seconds: float
    started: int
    lost: int
    batches: float
    candidates: float


@dataclass(frozen=True, slots=True)
class PoolTotals:
    """A pool's nodes, paid from when they are asked for (``provisioning_s`` included) until they are gone."""

    node_seconds: float
    cost: float
    peak_nodes: int
    started: int
    lost: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Series by bin; bin i is [start_s + i * bin_s, start_s + (i + 1) * bin_s).

    Counts are of the bin, latencies of the answers given in it (NaN where none was), the rest as it was at its end.
    ready, target, waiting_candidates: by ``<unit>@<pool>``; nodes: by pool; cost: of the bin.
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
    """What the policy decided, by ``<unit>@<pool>``, in the words it gave. changed: whether a target moved."""

    at_s: float
    changed: bool
    replicas: Mapping[str, int]
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Incident:
    """What happened to the cluster: a node or replica lost, or one that found no room."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """All of one simulation. violated_s: time in bins where over 1% of the requests missed the objective.

    events: requests, batches and calls that came or went, as the engine counted them; 0 of the stepped one.
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
        """Give it as JSON's own types; what is no number is null."""
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
