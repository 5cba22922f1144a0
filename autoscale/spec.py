"""The pipeline description for policies, simulator, tuner and planner.

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
        """Return the deployment's name."""
        return f"{self.unit}@{self.pool}"


@dataclass(frozen=True, slots=True)
class PlacedUnit:
    """A unit in one of its pools: a replica's profile and resources, and bounds on the replica count."""

    pool: str
    profile: Profile
    cpus: float
    gpus: float = 0.0
    initial_replicas: int = 1
    min_replicas: int = 0
    max_replicas: int = 1000


@dataclass(frozen=True, slots=True)
class Fallback:
    """The model in the ingress unit that answers if another unit is late, with the model's time for each candidate."""

    name: str
    seconds_per_candidate: float


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """A unit: its pools, and limits on its queue and batches (``services/scheduling/batcher.py``)."""

    name: str
    placed: tuple[PlacedUnit, ...]
    max_candidates: int
    max_waiting_candidates: int
    max_calls_in_flight: int = 1

    def in_pool(self, pool: str) -> PlacedUnit:
        """Return the unit's placement in a pool.

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
        units: in the order in which a request reaches them. The first is the ingress.
        p99_ms: the latency objective for the whole answer.
        deadline_ms: time after which a request is answered by the fallback, or refused.
        candidates_per_request: the mean number of candidates.
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
    """Share of the objective by unit. Other units divide the rest in proportion to a single request's time in them."""

    def unit(self, name: str) -> UnitSpec:
        """Return the unit with that name.

        Raises:
            SpecError: there is no such unit.
        """
        for unit in self.units:
            if unit.name == name:
                return unit
        raise SpecError(f"unknown unit, got {name}; the pipeline has {', '.join(u.name for u in self.units)}")

    def keys(self) -> Iterator[Key]:
        """Yield a key for every unit in every pool that it may run in."""
        for unit in self.units:
            for placed in unit.placed:
                yield Key(unit.name, placed.pool)

    def placed(self, key: Key) -> PlacedUnit:
        """Return the placement for a key."""
        return self.unit(key.unit).in_pool(key.pool)
