"""The description of a pipeline for policies, simulator, tuner and planner.

``services/autoscaling/spec.py`` creates it from the configuration.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from autoscale.errors import SpecError
from autoscale.pools import PoolConfig
from autoscale.profiles import Profile


class Key(NamedTuple):
    """A unit in a pool, which is the Serve deployment ``<unit>@<pool>``. Replicas, prices and decisions are by key."""

    unit: str
    pool: str

    def __str__(self) -> str:
        """Return the name of the deployment."""
        return f"{self.unit}@{self.pool}"


@dataclass(frozen=True, slots=True)
class PlacedUnit:
    """A unit in one of its pools: the profile and the resources of a replica, and bounds on the number of replicas."""

    pool: str
    profile: Profile
    cpus: float
    gpus: float = 0.0
    initial_replicas: int = 1
    min_replicas: int = 0
    max_replicas: int = 1000


@dataclass(frozen=True, slots=True)
class Fallback:
    """The model in the ingress unit that answers if another unit is late, with its time for each candidate."""

    name: str
    seconds_per_candidate: float


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """A unit: the limits of its queue and batches (``services/scheduling/batcher.py``), and the pools it may run in."""

    name: str
    placed: tuple[PlacedUnit, ...]
    max_candidates: int
    max_waiting_candidates: int
    max_calls_in_flight: int = 1

    def in_pool(self, pool: str) -> PlacedUnit:
        """Return the placement of the unit in a pool.

        Raises:
            SpecError: the unit is not in this pool.
        """
        for placed in self.placed:
            if placed.pool == pool:
                return placed
        raise SpecError(f"units.{self.name}.pools: the unit is not in pool {pool}; add the pool")


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A pipeline.

    Attributes:
        units: the units in the order of a request. The first one is the ingress.
        p99_ms: the latency objective of the whole answer.
        deadline_ms: time after which a request is answered by the fallback, or refused.
        candidates_per_request: the mean number of candidates of a request.
        metrics_interval_s: the interval at which replicas report metrics.
    """

    name: str
    units: tuple[UnitSpec, ...]
    pools: dict[str, PoolConfig]
    p99_ms: float
    deadline_ms: float
    fallback: Fallback | None = None
    candidates_per_request: int = 200
    metrics_interval_s: float = 1.0
    decision_interval_s: float = 5.0
    shares: dict[str, float] = field(default_factory=dict)
    """Share of the objective by unit. Other units divide the rest in proportion to the time of a single request."""

    def unit(self, name: str) -> UnitSpec:
        """Return the unit of that name.

        Raises:
            SpecError: there is no such unit.
        """
        for unit in self.units:
            if unit.name == name:
                return unit
        raise SpecError(f"unknown unit, got {name}; the pipeline has {', '.join(u.name for u in self.units)}")

    def keys(self) -> Iterator[Key]:
        """Yield the key of every unit in every pool that it may run in."""
        for unit in self.units:
            for placed in unit.placed:
                yield Key(unit.name, placed.pool)

    def placed(self, key: Key) -> PlacedUnit:
        """Return the placement of the key's unit in the key's pool."""
        return self.unit(key.unit).in_pool(key.pool)
