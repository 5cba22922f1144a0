"""Limits that apply to any policy: bounds, scaling to and from zero, step sizes, cool-downs, and missing metrics."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from autoscale.policies.base import Decision, Observation, Policy, UnitObservation
from autoscale.spec import Key, PipelineSpec

State = TypeVar("State")


class LimitsConfig(BaseModel):
    """Limits on how fast replica counts may change.

    Attributes:
        max_up_ratio: a step up multiplies the replicas by at most this. A step up by one replica is always allowed.
        max_down_ratio: a step down divides the replicas by at most this. A step down by one is always allowed.
        up_cooldown_s: the least time between two steps up.
        down_cooldown_s: the least time from the last step, up or down, to a step down.
        to_zero_after_s: a unit that may scale to zero does so after this idle time.
        stale_after_s: older metrics are ignored, and the targets stay.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_up_ratio: float = Field(default=10.0, gt=1, le=1000)
    max_down_ratio: float = Field(default=2.0, gt=1, le=1000)
    up_cooldown_s: float = Field(default=0.0, ge=0, le=3600)
    down_cooldown_s: float = Field(default=30.0, ge=0, le=86_400)
    to_zero_after_s: float = Field(default=300.0, ge=0, le=86_400)
    stale_after_s: float = Field(default=60.0, gt=0, le=3600)


@dataclass(frozen=True, slots=True)
class LimitedState(Generic[State]):
    """The state of the policy and its limits.

    Attributes:
        inner: the policy's own state.
        targets: by ``<unit>@<pool>``, the last target.
        up_s: by ``<unit>@<pool>``, when the target last went up.
        down_s: by ``<unit>@<pool>``, when the target last went down.
        busy_s: by unit, the last time at which it had work.
        weights: by unit, the last split over its pools.
    """

    inner: State
    targets: Mapping[str, int] = field(default_factory=dict)
    up_s: Mapping[str, float] = field(default_factory=dict)
    down_s: Mapping[str, float] = field(default_factory=dict)
    busy_s: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Limited(Generic[State]):
    """A policy within limits. If a limit changes the policy's number, the reason names the limit.

    Without ``config`` only the bounds apply. This is for policies with their own delays.
    """

    def __init__(self, inner: Policy[State], spec: PipelineSpec, config: LimitsConfig | None) -> None:
        """Wrap ``inner``, which was created for the same ``spec``."""
        self._inner, self._config = inner, config
        self._placed = {key: spec.placed(key) for key in spec.keys()}
        defaults = config or LimitsConfig()
        self._stale_after_s, self._to_zero_after_s = defaults.stale_after_s, defaults.to_zero_after_s
        self._may_have_none = {
            unit.name: all(placed.min_replicas == 0 for placed in unit.placed) for unit in spec.units
        }

    def start(self) -> LimitedState[State]:
        """Return the state before the first decision."""
        return LimitedState(self._inner.start())

    def decide(
        self, now_s: float, observation: Observation, state: LimitedState[State]
    ) -> Decision[LimitedState[State]]:
        """Return the policy's decision within the limits. Without usable metrics the targets and weights stay."""
        missing = self._unusable(observation)
        if missing:
            return self._unchanged(observation, state, missing)
        wish = self._inner.decide(now_s, observation, state.inner)
        busy_s = self._busy_s(now_s, observation, state)
        allowed = {
            key: self._stepped(now_s, key, wish.replicas[key], observation, state) for key in self._placed
        }
        if self._config is not None:
            allowed |= self._awake(now_s, observation, {key: n for key, (n, _) in allowed.items()}, busy_s)
        replicas, reasons = {}, {}
        up_s, down_s = dict(state.up_s), dict(state.down_s)
        for key, (number, limit) in allowed.items():
            target, name = observation.units[key].target, str(key)
            replicas[key], bound = self._bounded(key, number)
            if replicas[key] != target:
                (up_s if replicas[key] > target else down_s)[name] = now_s
            why = bound or limit
            reasons[key] = wish.reasons[key]
            if why and replicas[key] != wish.replicas[key]:
                reasons[key] = (
                    f"{name} {target} -> {replicas[key]}, because {why}; the policy wanted: {wish.reasons[key]}"
                )
        targets = {str(key): number for key, number in replicas.items()}
        after = LimitedState(wish.state, targets, up_s, down_s, busy_s, wish.weights)
        return Decision(replicas, reasons, after, weights=wish.weights)

    def _unusable(self, observation: Observation) -> str:
        if not observation.age_s <= self._stale_after_s:
            return f"the metrics are {observation.age_s:.0f} s old"
        for key in self._placed:
            seen = observation.units.get(key)
            if seen is None:
                return f"there are no metrics for {key}"
            for part in fields(UnitObservation):
                if not 0 <= getattr(seen, part.name) < math.inf:
                    return f"{part.name} of {key} is {getattr(seen, part.name)}"
        return ""

    def _unchanged(
        self, observation: Observation, state: LimitedState[State], why: str
    ) -> Decision[LimitedState[State]]:
        replicas = {}
        for key, placed in self._placed.items():
            seen = observation.units.get(key)
            last = state.targets.get(str(key), placed.initial_replicas if seen is None else seen.target)
            replicas[key] = min(max(int(last), placed.min_replicas), placed.max_replicas)
        reasons = {key: f"{key} stays at {n}: {why}" for key, n in replicas.items()}
        return Decision(replicas, reasons, state, weights=state.weights)

    def _busy_s(
        self, now_s: float, observation: Observation, state: LimitedState[State]
    ) -> Mapping[str, float]:
        busy = {key.unit for key, seen in observation.units.items() if key in self._placed and _is_busy(seen)}
        return {
            unit: now_s if unit in busy else state.busy_s.get(unit, now_s) for unit in self._may_have_none
        }

    def _stepped(
        self, now_s: float, key: Key, wanted: int, observation: Observation, state: LimitedState[State]
    ) -> tuple[int, str]:
        """Return the replicas after one step towards ``wanted``, and the limit that may have shortened the step.

        For example, with ``max_up_ratio`` 10, a policy that wants 100 replicas raises a target of 2 to 20. With
        ``max_down_ratio`` 2, a policy that wants 1 replica lowers a target of 9 to 5.
        """
        target, name, config = observation.units[key].target, str(key), self._config
        if config is None or wanted == target:
            return wanted, ""
        if wanted > target:
            since_s = now_s - state.up_s.get(name, -math.inf)
            if (target and since_s < config.up_cooldown_s) or since_s <= 0:
                return target, f"it scaled up {since_s:.0f} s ago"
            furthest = max(target + 1, math.floor(max(1, target) * config.max_up_ratio))
            return min(wanted, furthest), f"a step multiplies the number by at most {config.max_up_ratio:g}"
        since_s = now_s - max(state.up_s.get(name, -math.inf), state.down_s.get(name, -math.inf))
        if since_s < config.down_cooldown_s or since_s <= 0:  # at most one step at the same time
            return target, f"it scaled {since_s:.0f} s ago"
        furthest = min(target - 1, math.ceil(target / config.max_down_ratio))
        return max(wanted, furthest), f"a step down divides the number by at most {config.max_down_ratio:g}"

    def _awake(
        self, now_s: float, observation: Observation, numbers: Mapping[Key, int], busy_s: Mapping[str, float]
    ) -> dict[Key, tuple[int, str]]:
        """Return one replica for each unit that would have none although it has work or had work recently."""
        awake: dict[Key, tuple[int, str]] = {}
        for unit in self._may_have_none:
            keys = [key for key in self._placed if key.unit == unit]
            if any(numbers[key] for key in keys) or not self._may_have_none[unit]:
                continue
            idle_s = now_s - busy_s[unit]
            with_target = [key for key in keys if observation.units[key].target]
            if idle_s == 0 or (with_target and idle_s < self._to_zero_after_s):
                awake[with_target[0] if with_target else keys[0]] = (
                    1,
                    f"the unit has been idle for only {idle_s:.0f} s",
                )
        return awake

    def _bounded(self, key: Key, number: int) -> tuple[int, str]:
        placed = self._placed[key]
        if number > placed.max_replicas:
            return placed.max_replicas, f"max_replicas is {placed.max_replicas}"
        if number < placed.min_replicas:
            return placed.min_replicas, f"min_replicas is {placed.min_replicas}"
        return number, ""


def _is_busy(seen: UnitObservation) -> bool:
    return seen.arriving_requests_per_s + seen.waiting_candidates + seen.ongoing_requests > 0
