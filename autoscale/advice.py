"""Advice on a pipeline before it runs: redundant policies, unreachable objectives and units limited by their calls."""

from collections.abc import Collection

from autoscale.capacity.calls import next_unit
from autoscale.capacity.prices import room
from autoscale.capacity.sizing import CandidateCapacity, Sizing
from autoscale.config import AutoscalingConfig
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import Key, PipelineSpec

_KEEPS_SPLIT = ("target_ongoing", "slo", "predictive", "coupled")
"""The built-in policies that size each pool by the calls that arrive there."""


def meaningless(config: AutoscalingConfig, spec: PipelineSpec) -> dict[str, str]:
    """Return the policy kinds that act like a simpler kind in this pipeline, each with the reason."""
    messages = {}
    if len(spec.units) == 1:
        messages["coupled"] = "the pipeline has one unit, so coupled does the same as predictive"
    if all(len(unit.placed) == 1 for unit in spec.units):
        rest = "predictive" if len(spec.units) == 1 else "coupled"
        messages["cheapest"] = f"no unit can run in several pools, so cheapest does the same as {rest}"
    elif not any(pool.price_per_hour for pool in spec.pools.values()):
        messages["cheapest"] = (
            "no pool has a price_per_hour, so cheapest takes a replica's share of a node as the price of the replica"
        )
    if all(_lead_s(spec, key) <= config.decision_interval_s for key in spec.keys()):
        messages["predictive"] = (
            f"replicas are ready within decision_interval_s, {config.decision_interval_s:g} s, so the policy slo "
            f"orders "
            f"them early enough"
        )
    return messages


def sizing_of(config: AutoscalingConfig | None, spec: PipelineSpec) -> Sizing:
    """Return the sizing that the pipeline's policy uses, or the planner's sizing if the policy uses no profiles."""
    policy = None if config is None else config.policy
    if not isinstance(policy, SizedConfig):
        return Sizing(spec)
    return Sizing(spec, aim=policy.aim, max_load=policy.max_load)


def unreachable(config: AutoscalingConfig, spec: PipelineSpec) -> list[str]:
    """Return a line for each unit and pool in which a single request takes longer than the unit's share."""
    if not isinstance(config.policy, SizedConfig):
        return []
    spec = config.applied_to(spec)
    sizing = sizing_of(config, spec)
    lines = []
    for key in spec.keys():
        share_ms = 1000 * config.policy.aim * sizing.shares_s[key.unit]
        alone_ms = 1000 * sizing.queue(key, float(spec.candidates_per_request)).alone_p99_s
        if alone_ms > share_ms:
            lines.append(
                f"autoscaling.p99_ms: leaves {share_ms:.1f} ms for {key}, but one request alone takes "
                f"{alone_ms:.1f} ms (p99), got {spec.p99_ms:g}; raise p99_ms, increase the unit's share, or "
                f"remove the pool"
            )
    return lines


def unpriced(config: AutoscalingConfig, spec: PipelineSpec) -> list[str]:
    """Return a line for each pool without a price, if the policy compares its price with that of another pool."""
    if config.policy.kind != "cheapest":
        return []
    lines = []
    for unit in spec.units:
        pools = {placed.pool: spec.pools[placed.pool].price_per_hour for placed in unit.placed}
        priced = [f"{name} {price:g}" for name, price in pools.items() if price]
        if priced:
            lines += [
                f"pools.{name}.price_per_hour: not set, so cheapest takes 1 as the price of a node, for {unit.name} in "
                f"comparison with {', '.join(priced)}; set the price"
                for name, price in pools.items()
                if not price
            ]
    return list(dict.fromkeys(lines))


def unused(config: AutoscalingConfig, spec: PipelineSpec) -> list[str]:
    """Return a line for each pool of a unit in several pools that the policy will never use."""
    spec, kind = config.applied_to(spec), config.policy.kind
    lines = []
    for unit in spec.units:
        for placed in unit.placed if len(unit.placed) > 1 else ():
            key = Key(unit.name, placed.pool)
            if kind in _KEEPS_SPLIT and not placed.initial_replicas and not placed.min_replicas:
                lines.append(
                    f"units.{key.unit}.pools.{key.pool}: starts without a replica and gets no calls, because {kind} "
                    f"does not change the split over the pools; use the policy cheapest, or set replicas"
                )
            if kind == "cheapest" and not room(spec, key):
                lines.append(
                    f"pools.{key.pool}.memory_gib: a replica of {key} takes {placed.profile.memory_mib:.0f} MiB, so "
                    f"cheapest never uses the pool, got {spec.pools[key.pool].memory_gib:g}; describe larger nodes"
                )
    return lines


def call_limited(spec: PipelineSpec, sizing: Sizing, used: Collection[Key] | None = None) -> list[str]:
    """Return a line for each unit and pool whose capacity is limited by the calls to the next unit.

    Each line says how many calls in flight would be enough.

    Args:
        spec: the pipeline.
        sizing: its replicas' capacities.
        used: the keys that calls may go to. By default these are all keys that can meet their unit's share of the
            objective.
    """
    lines = []
    for key in spec.keys():
        called, size = next_unit(spec, key.unit), float(spec.candidates_per_request)
        limited: dict[Key, CandidateCapacity] = {}
        if called is None:
            continue
        for placed in called.placed:
            to = Key(called.name, placed.pool)
            if sizing.capacity(to, size).feasible if used is None else to in used:
                limited[to] = sizing.capacity(key, size, {to.pool: 1.0})
        if not limited:
            continue
        to, capacity = min(limited.items(), key=lambda item: item[1].per_s)
        calls = capacity.calls
        if calls is not None:
            enough = calls.calls_for(capacity.own_per_s / sizing.max_load)
            lines.append(
                f"units.{key.unit}.max_calls_in_flight: limits a replica of {key} to {capacity.per_s:,.0f} of "
                f"{capacity.own_per_s:,.0f} candidates/s, because a call of {calls.candidates:,.0f} candidates takes "
                f"{1000 * calls.call_s:.0f} ms ({1000 * calls.response_s:.0f} ms at {to}), got {calls.calls}; "
                f"raise max_calls_in_flight to {enough}"
            )
    return lines


def _lead_s(spec: PipelineSpec, key: Key) -> float:
    pool = spec.pools.get(key.pool)
    return spec.placed(key).profile.startup_s + (pool.provisioning_s if pool is not None else 0.0)
