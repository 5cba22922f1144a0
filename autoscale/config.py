"""The ``autoscaling:`` section of a pipeline's YAML, and the policy that is created from it.

``rankway autoscale tune`` writes such a section.
"""

import dataclasses
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from autoscale.errors import PolicyError
from autoscale.policies.base import AnyPolicyKind, Policy, PolicyOptions
from autoscale.policies.limits import Limited, LimitsConfig
from autoscale.policies.registry import POLICIES, PolicyConfig
from autoscale.registries.errors import PLUGIN_ERRORS, RegistryError
from autoscale.spec import Key, PipelineSpec, PlacedUnit

# ``<unit>``, or ``<unit>@<pool>`` for a unit in one of its pools.
Placed = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*(@[a-z][a-z0-9-]*)?$")]


class BoundsConfig(BaseModel):
    """Bounds on the replica count.

    Attributes:
        min_replicas: the default is 1 in a unit's first pool and 0 in its other pools. A unit with 0 in all pools can
            scale to zero.
        max_replicas: the default is the pipeline's own maximum.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_replicas: int | None = Field(default=None, ge=0, le=10_000)
    max_replicas: int | None = Field(default=None, ge=1, le=10_000)

    @model_validator(mode="after")
    def _not_crossed(self) -> Self:
        if None not in (self.min_replicas, self.max_replicas) and self.min_replicas > self.max_replicas:  # type: ignore[operator]
            raise ValueError(
                f"min_replicas: must be at most max_replicas {self.max_replicas}, got {self.min_replicas}; "
                f"lower min_replicas or raise max_replicas"
            )
        return self


class AutoscalingConfig(BaseModel):
    """The ``autoscaling:`` section.

    Attributes:
        p99_ms: the latency objective, for the 99th percentile of whole answers.
        shares: each unit's share of the objective. Units that are not listed divide the rest in proportion to the time
            that a single request takes in them.
        bounds: by ``<unit>`` or ``<unit>@<pool>``. A pool's bounds take precedence.
        limits: limits on the policy's steps. They do not apply to a policy with its own delays. For example,
            ``target_ongoing`` has Serve's delays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    policy: PolicyConfig
    p99_ms: float = Field(gt=0, le=60_000)
    decision_interval_s: float = Field(default=5.0, ge=0.1, le=300)
    shares: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    bounds: dict[Placed, BoundsConfig] = Field(default_factory=dict)
    limits: LimitsConfig = LimitsConfig()

    @model_validator(mode="after")
    def _shares_leave_enough(self) -> Self:
        if sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError(
                f"shares: must add up to at most 1, got {sum(self.shares.values()):g}; lower some shares"
            )
        return self

    @model_validator(mode="after")
    def _limits_have_a_policy(self) -> Self:
        if not policy_kind(self.policy).is_limited and self.limits != LimitsConfig():
            raise ValueError(
                f"limits: cannot be set for the policy {self.policy.kind}, which has its own delays and factors; "
                f"remove limits"
            )
        return self

    def applied_to(self, spec: PipelineSpec) -> PipelineSpec:
        """Return the spec with this objective, interval, shares and bounds.

        Raises:
            PolicyError: shares or bounds name an unknown unit or pool, or a minimum is above its maximum.
        """
        names = {unit.name for unit in spec.units}
        for share in self.shares:
            if share not in names:
                raise PolicyError(
                    f"autoscaling.shares: unknown unit, got {share}; use one of {sorted(names)}"
                )
        known = names | {str(key) for key in spec.keys()}
        for bound in self.bounds:
            if bound not in known:
                raise PolicyError(
                    f"autoscaling.bounds: unknown unit or pool, got {bound}; use one of {sorted(known)}"
                )
        units = tuple(
            dataclasses.replace(
                unit,
                placed=tuple(
                    self._bounded(Key(unit.name, placed.pool), placed, first=index == 0)
                    for index, placed in enumerate(unit.placed)
                ),
            )
            for unit in spec.units
        )
        return dataclasses.replace(
            spec,
            units=units,
            p99_ms=self.p99_ms,
            decision_interval_s=self.decision_interval_s,
            shares=dict(self.shares),
        )

    def _bounded(self, key: Key, placed: PlacedUnit, *, first: bool) -> PlacedUnit:
        own_bounds = [self.bounds[name] for name in (str(key), key.unit) if name in self.bounds]
        lowest = next(
            (bounds.min_replicas for bounds in own_bounds if bounds.min_replicas is not None), int(first)
        )
        most = next((b.max_replicas for b in own_bounds if b.max_replicas is not None), placed.max_replicas)
        if lowest > most:
            raise PolicyError(
                f"autoscaling.bounds.{key}: min_replicas must be at most max_replicas {most}, got {lowest}; "
                f"raise max_replicas"
            )
        initial = min(max(placed.initial_replicas, lowest), most)
        return dataclasses.replace(placed, min_replicas=lowest, max_replicas=most, initial_replicas=initial)


def make_policy(config: AutoscalingConfig, spec: PipelineSpec) -> Policy[Any]:
    """Create a pipeline's policy, wrapped in its bounds and limits.

    Args:
        config: the pipeline's autoscaling section.
        spec: the pipeline, with or without ``config`` already applied.

    Raises:
        PolicyError: shares or bounds do not fit the pipeline, or a plug-in's policy cannot be created.
    """
    spec, kind = config.applied_to(spec), policy_kind(config.policy)
    try:
        policy = kind.make(config.policy, spec)
        policy.start()
    except PLUGIN_ERRORS as error:
        if config.policy.kind in POLICIES.builtins:
            raise
        raise PolicyError(
            f"autoscaling.policy: kind {config.policy.kind} cannot be created: {type(error).__name__}: {error}; "
            f"correct "
            f"its options, or fix its package"
        ) from error
    return Limited(policy, spec, config.limits if kind.is_limited else None)


def policy_kind(policy: PolicyOptions) -> AnyPolicyKind:
    """Return the descriptor for the kind that the options name.

    Raises:
        PolicyError: the descriptor cannot be loaded.
    """
    try:
        return POLICIES.for_config(policy)
    except RegistryError as error:
        raise PolicyError(f"autoscaling.policy.kind: {error}") from error
