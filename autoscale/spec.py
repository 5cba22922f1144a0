"""The pipeline as policies, simulator, tuner and planner see it; ``services/autoscaling/spec.py`` makes it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from autoscale.errors import SpecError
from autoscale.pools import PoolConfig
from autoscale.profiles import Profile


class Key(NamedTuple):
    """A unit in a pool: what is replicated, priced and decided on; the Serve deployment ``<unit>@<pool>``."""

    unit: str
    pool: str

    def __str__(self) -> str:
        """As deployments are named."""
        return f"{self.unit}@{self.pool}"


@dataclass(frozen=True, slots=True)
class PlacedUnit:
    """A unit in one of its pools: what a replica needs and takes, and how many there may be."""

    pool: str
    profile: Profile
    cpus: float
    gpus: float = 0.0
    initial_replicas: int = 1
    min_replicas: int = 0
    max_replicas: int = 1000


@dataclass(frozen=True, slots=True)
class Fallback:
    """What answers when a unit is late: a model in the ingress unit, and its time for each candidate."""

    name: str
    seconds_per_candidate: float


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """A unit: its queue and batches, as ``services/scheduling/batcher.py`` forms them, and where it may run."""

    name: str
    placed: tuple[PlacedUnit, ...]
    max_candidates: int
    max_waiting_candidates: int
    max_calls_in_flight: int = 1

    def in_pool(self, pool: str) -> PlacedUnit:
        """Give the unit as it is placed in a pool.

        Raises:
            SpecError: it is not.
        """
        for placed in self.placed:
            if placed.pool == pool:
                return placed
        raise SpecError(f"units.{self.name}.pools: the unit is not in pool {pool}; add the pool")


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A pipeline; ``units`` in a request's order, the ingress first.

    p99_ms: the objective of the whole answer; deadline_ms: when a request is answered with less, or refused.
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
    """Of the objective, by unit; what is not given is shared out by what a request takes in each."""

    def unit(self, name: str) -> UnitSpec:
        """Give the unit of that name.

        Raises:
            SpecError: there is none.
        """
        for unit in self.units:
            if unit.name == name:
                return unit
        raise SpecError(f"unknown unit, got {name}; the pipeline has {', '.join(u.name for u in self.units)}")

    def keys(self) -> Iterator[Key]:
        """Give every unit in every pool that it may run in."""
        for unit in self.units:
            for placed in unit.placed:
                yield Key(unit.name, placed.pool)

    def placed(self, key: Key) -> PlacedUnit:
        """Give the unit as it is placed in the pool."""
        return self.unit(key.unit).in_pool(key.pool)
