"""The result of a plan: pools, replicas, nodes and their cost."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """A unit in a pool, over all cells and zones.

    Attributes:
        replicas: number of replicas.
        requests_per_s_of_a_replica: a replica's load within the unit's share of the objective.
        saturated_requests_per_s: a replica's load if it is never idle.
        share: share of the unit's candidates that this pool serves.
        share_of_cost: share of the total replica cost.
        runs_out_of: the node resource that limits how many replicas fit.
    """

    replicas: int
    requests_per_s_of_a_replica: float
    saturated_requests_per_s: float
    share: float
    share_of_cost: float
    runs_out_of: str


@dataclass(frozen=True, slots=True)
class PlannedPool:
    """A pool's nodes, over all cells and zones.

    Attributes:
        nodes: number of nodes, including the spare ones.
        spare: number of spare nodes.
        cost_per_day: the price of all nodes for 24 hours.
    """

    nodes: int
    spare: int
    cost_per_day: float


@dataclass(frozen=True, slots=True)
class Provision:
    """The cells, nodes and replicas for one load.

    Attributes:
        requests_per_day: the load.
        peak_requests_per_s: the day's highest rate.
        cells: number of Ray clusters. They share the load evenly.
        units: replicas by ``<unit>@<pool>``.
        pools: nodes by pool.
        cost_per_day: the cost if the nodes for the peak run all day.
        cost_per_day_at_mean: the cost if only the nodes for the mean rate run all day.
    """

    requests_per_day: float
    peak_requests_per_s: float
    cells: int
    units: Mapping[str, PlannedUnit]
    pools: Mapping[str, PlannedPool]
    cost_per_day: float
    cost_per_day_at_mean: float

    @property
    def nodes(self) -> int:
        """Number of nodes in all pools."""
        return sum(pool.nodes for pool in self.pools.values())
