"""The result of a plan: pools, replicas, nodes and their cost."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """A unit in a pool, over all cells and zones. share: of the unit's candidates that go there."""

    replicas: int
    requests_per_s_of_a_replica: float
    saturated_requests_per_s: float
    share: float
    share_of_cost: float
    runs_out_of: str


@dataclass(frozen=True, slots=True)
class PlannedPool:
    """A pool's nodes, over all cells and zones; spare: of them, those that may be lost."""

    nodes: int
    spare: int
    cost_per_day: float


@dataclass(frozen=True, slots=True)
class Provision:
    """What one load takes. cells: Ray clusters that share it evenly."""

    requests_per_day: float
    peak_requests_per_s: float
    cells: int
    units: Mapping[str, PlannedUnit]
    pools: Mapping[str, PlannedPool]
    cost_per_day: float
    cost_per_day_at_mean: float

    @property
    def nodes(self) -> int:
        """Nodes in all."""
        return sum(pool.nodes for pool in self.pools.values())
