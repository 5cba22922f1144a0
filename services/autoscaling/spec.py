"""Turn a pipeline's YAML into the spec (``autoscale.spec``) that policies, simulator, tuner and planner use."""

from collections.abc import Mapping
from pathlib import Path

from autoscale.config import policy_kind
from autoscale.errors import ProfileError, SpecError
from autoscale.profiles import Profile, Timing, read_profile
from autoscale.spec import Fallback, Key, PipelineSpec, PlacedUnit, UnitSpec
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, all_placements, placements
from services.paths import shipped

METRICS_INTERVAL_S = 1.0
"""Seconds between two reports of a replica's queue to the controller."""
_MOST_REPLICAS = 10_000


def spec_of(config: PipelineConfig, home: Path) -> PipelineSpec:
    """Return the pipeline's spec with its profiles, and with the pipeline's ``autoscaling`` if there is one.

    Raises:
        ProfileError: as for ``profiles_of``.
        SpecError: a replica does not fit a node of its pool.
        PolicyError: ``autoscaling`` does not fit the pipeline.
    """
    return lowered(config, profiles_of(config, home))


def profiles_of(config: PipelineConfig, home: Path) -> dict[Key, Profile]:
    """Read the profile for every unit in every pool.

    Args:
        config: the pipeline.
        home: profile paths are relative to this folder, or to the repository.

    Raises:
        ProfileError: a profile is not named, cannot be read, or belongs to another unit or pool.
    """
    return {placement.key: _profile_of(placement, home) for placement in all_placements(config)}


def needed_profiles(config: PipelineConfig, home: Path) -> dict[Key, Profile]:
    """Read the profiles that the pipeline's own policy needs. Some policies need none.

    Raises:
        ProfileError: as for ``profiles_of``.
    """
    scaling = config.autoscaling
    if scaling is None or not policy_kind(scaling.policy).reads_profiles:
        return {}
    return profiles_of(config, home)


def lowered(config: PipelineConfig, profiles: Mapping[Key, Profile]) -> PipelineSpec:
    """Return the pipeline's spec with these profiles. A unit without a profile gets meaningless times.

    Raises:
        SpecError: a replica does not fit a node of its pool.
        PolicyError: ``autoscaling`` does not fit the pipeline.
    """
    names = dict.fromkeys([config.ingress_unit, config.ranker_unit])
    spec = PipelineSpec(
        name=config.name,
        units=tuple(_unit(config, name, profiles) for name in names),
        pools={placement.key.pool: placement.pool for placement in all_placements(config)},
        p99_ms=config.requests.default_deadline_ms,
        deadline_ms=config.requests.default_deadline_ms,
        fallback=_fallback(config, profiles),
        candidates_per_request=config.candidates.count,
        metrics_interval_s=METRICS_INTERVAL_S,
    )
    return spec if config.autoscaling is None else config.autoscaling.applied_to(spec)


def _unit(config: PipelineConfig, name: str, profiles: Mapping[Key, Profile]) -> UnitSpec:
    unit = config.units[name]
    return UnitSpec(
        name=name,
        placed=tuple(_placed(placement, profiles) for placement in placements(config, name)),
        max_candidates=unit.batching.max_candidates,
        max_waiting_candidates=unit.batching.max_waiting_candidates,
        max_calls_in_flight=unit.max_calls_in_flight,
    )


def _placed(placement: Placement, profiles: Mapping[Key, Profile]) -> PlacedUnit:
    return PlacedUnit(
        pool=placement.key.pool,
        profile=profiles.get(placement.key) or _unmeasured(placement.key),
        cpus=placement.cpus,
        gpus=placement.gpus,
        initial_replicas=placement.replicas,
        max_replicas=min(_MOST_REPLICAS, placement.pool.max_nodes * _per_node(placement)),
    )


def _per_node(placement: Placement) -> int:
    pool = placement.pool
    limits = {"cpus": (pool.cpus, placement.cpus), "gpus": (pool.gpus, placement.gpus)}
    for name, (has, takes) in limits.items():
        if takes > has:
            raise SpecError(
                f"units.{placement.key.unit}: a replica of {placement.deployment} needs {takes:g} {name}, but a node "
                f"of pool {placement.key.pool} has {has:g}; lower the unit's {name}, or describe larger nodes under "
                f"pools.{placement.key.pool}"
            )
    return int(min((has / takes for has, takes in limits.values() if takes), default=_MOST_REPLICAS))


def _fallback(config: PipelineConfig, profiles: Mapping[Key, Profile]) -> Fallback | None:
    if config.fallback is None:
        return None
    ingress = profiles.get(placements(config, config.ingress_unit)[0].key)
    seconds = 0.0 if ingress is None else ingress.fallback_us_per_candidate / 1e6
    return Fallback(config.fallback.model or "popular", seconds if config.fallback.model else 0.0)


def _profile_of(placement: Placement, home: Path) -> Profile:
    unit, pool = placement.key
    if placement.profile is None:
        raise ProfileError(
            f"units.{unit}.profile: {placement.deployment} has no profile; measure one with "
            f"`rankway models bench CONFIG`, and name the file here"
        )
    profile = read_profile(shipped(home, placement.profile))
    if (profile.unit, profile.pool) != placement.key:
        raise ProfileError(
            f"units.{unit}.profile: expected a profile of {unit}@{pool}, got {placement.profile} of "
            f"{profile.unit}@{profile.pool}; name the right file, or measure one with "
            f"`rankway models bench CONFIG`"
        )
    return profile


def _unmeasured(key: Key) -> Profile:
    timing = Timing(requests=1, candidates=1, p50_ms=1.0, p99_ms=1.0, mean_ms=1.0, runs=1)
    return Profile(
        unit=key.unit, pool=key.pool, machine="not measured", timings=(timing,), startup_s=1.0, memory_mib=1.0
    )
