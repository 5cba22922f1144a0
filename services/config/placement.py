"""The Serve deployments of a pipeline's units.

A unit with pools is one deployment per pool, named ``<unit>@<pool>``. A unit without pools is one deployment,
named ``<unit>``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from autoscale.pools import PoolConfig
from autoscale.spec import Key
from models.runtimes.base import GroupOptions, group_of
from services.config.pipeline import PipelineConfig
from services.config.units import LOCAL_POOL
from services.errors import ConfigError

# The node of a unit without pools: available at once, and priced in CPU hours.
_LOCAL = PoolConfig(cpus=8, memory_gib=32, price_per_hour=8, provisioning_s=0, max_nodes=100_000)


@dataclass(frozen=True, slots=True)
class Placement:
    """A unit in one pool, which is one Serve deployment.

    Attributes:
        cpus: the CPUs for a replica.
        gpus: the GPUs for a replica.
        replicas: the replica count at the start.
        weight: the unit's share of candidates in this pool, relative to the other pools.
        profile: the file with the measured profile.
    """

    key: Key
    deployment: str
    pool: PoolConfig
    cpus: float
    gpus: float
    replicas: int
    weight: float
    profile: str | None

    def actor_options(self) -> dict[str, Any]:
        """Return Ray's options for a replica's actor: its resources, and the labels of nodes that it may use."""
        options: dict[str, Any] = {"num_cpus": self.cpus}
        if self.gpus:
            options["num_gpus"] = self.gpus
        if self.pool.accelerator is not None:
            options["accelerator_type"] = self.pool.accelerator
        if self.pool.labels:
            options["label_selector"] = dict(self.pool.labels)
        return options


class RouterConfig(BaseModel):
    """The ``user_config`` of the ingress deployment: the share of the ranker's candidates for each pool.

    Weights need not sum to 1. A pool with weight 0 or without a weight gets candidates only if no other pool
    can take them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weights: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def from_placements(cls, placed: Sequence[Placement]) -> Self:
        """Return the weights from a pipeline's YAML.

        A pool's default weight is its replica count. If all weights are 0, all pools get the same weight.
        """
        weights = {placement.key.pool: placement.weight for placement in placed}
        return cls(weights=weights if any(weights.values()) else dict.fromkeys(weights, 1.0))


def placements(config: PipelineConfig, unit_name: str) -> tuple[Placement, ...]:
    """Return a unit's deployments, in the order of its pools."""
    unit = config.units[unit_name]
    if not unit.pools:
        pool = config.pools.get(LOCAL_POOL, _LOCAL)
        key = Key(unit_name, LOCAL_POOL)
        return (Placement(key, unit_name, pool, unit.cpus, 0.0, unit.replicas, 1.0, unit.profile),)
    return tuple(_placed(config, unit_name, name) for name in unit.pools)


def _placed(config: PipelineConfig, unit_name: str, pool: str) -> Placement:
    unit = config.units[unit_name]
    placed = unit.pools[pool]
    key = Key(unit_name, pool)
    replicas = unit.replicas if placed.replicas is None else placed.replicas
    return Placement(
        key=key,
        deployment=str(key),
        pool=config.pools[pool],
        cpus=unit.cpus if placed.cpus is None else placed.cpus,
        gpus=placed.gpus,
        replicas=replicas,
        weight=float(replicas) if placed.weight is None else placed.weight,
        profile=placed.profile or unit.profile,
    )


def all_placements(config: PipelineConfig) -> tuple[Placement, ...]:
    """Return every deployment of the pipeline. The ingress comes first."""
    names = dict.fromkeys([config.ingress_unit, config.ranker_unit])
    return tuple(placement for name in names for placement in placements(config, name))


def placement_of(config: PipelineConfig, deployment: str) -> Placement:
    """Return a Serve deployment's placement.

    Raises:
        ConfigError: the pipeline has no deployment with that name.
    """
    candidates = all_placements(config)
    for placement in candidates:
        if placement.deployment == deployment:
            return placement
    raise ConfigError(
        f"unknown deployment, got {deployment}; pipeline {config.name} has "
        f"{', '.join(p.deployment for p in candidates)}"
    )


def models_of(config: PipelineConfig, unit: str) -> list[str]:
    """Return the names of the models that the unit runs: ranker, reranker and fallback. A name may repeat."""
    stages = config.units[unit].stages
    models = [config.ranker.model] if config.ranker is not None and "ranker" in stages else []
    if config.reranker is not None and "reranker" in stages:
        models.append(config.reranker.model)
    if config.fallback is not None and config.fallback.model is not None and unit == config.ingress_unit:
        models.append(config.fallback.model)
    return models


def sharded_runtime(config: PipelineConfig, unit: str) -> GroupOptions | None:
    """Return the options for the unit's shard group, or None if no model in the unit needs a group.

    Raises:
        ConfigError: two models in the unit need different groups.
    """
    wanted = {name: group_of(config.models[name].runtime) for name in models_of(config, unit)}
    groups = {name: group for name, group in wanted.items() if group is not None}
    if len({(each.shards, each.placement, each.timeout_s, each.transport) for each in groups.values()}) > 1:
        raise ConfigError(
            f"the models {' and '.join(sorted(groups))} share a shard group, but their runtimes differ; "
            f"give these models the same runtime options shards, placement, timeout_s and transport",
            field=f"units.{unit}",
        )
    return next(iter(groups.values()), None)
