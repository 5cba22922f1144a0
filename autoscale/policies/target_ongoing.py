"""``target_ongoing``: Ray Serve 2.60's default policy, with the same arithmetic. It is the tuner's baseline.

It follows ``ray/serve/autoscaling_policy.py`` in Ray 2.60 (Apache-2.0), and a test compares both over random series.
The look-back window is part of the observation: ``UnitObservation.ongoing_requests`` is averaged over
``look_back_period_s``. Serve calls its policy in each control loop, every 0.1 s. With a longer decision interval, a
delay ends at the first decision after it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from autoscale.policies.base import Decision, Observation, PolicyKind, PolicyOptions, UnitObservation
from autoscale.spec import PipelineSpec

_ELAPSED_EPSILON_S = 1e-6  # as in Serve: rounding makes differences between large times too small


class TargetOngoingConfig(PolicyOptions):
    """Options with the same names, meanings and defaults as in Serve's ``AutoscalingConfig``.

    Attributes:
        downscale_to_zero_delay_s: delay before the step from 1 replica to 0. None: ``downscale_delay_s``.
    """

    kind: Literal["target_ongoing"]
    target_ongoing_requests: float = Field(default=2.0, gt=0, le=1e6)
    look_back_period_s: float = Field(default=30.0, gt=0, le=3600)
    upscale_delay_s: float = Field(default=30.0, ge=0, le=86_400)
    downscale_delay_s: float = Field(default=600.0, ge=0, le=86_400)
    downscale_to_zero_delay_s: float | None = Field(default=None, ge=0, le=86_400)
    upscaling_factor: float = Field(default=1.0, gt=0, le=100)
    downscaling_factor: float = Field(default=1.0, gt=0, le=100)


@dataclass(frozen=True, slots=True)
class Wish:
    """A pending change in Serve's policy.

    Attributes:
        counter: consecutive decisions that wanted a change in the same direction. Negative: downwards.
        since_s: the time of the first such decision.
    """

    counter: int = 0
    since_s: float | None = None


@dataclass(frozen=True, slots=True)
class TargetOngoingState:
    """Pending changes by ``<unit>@<pool>``."""

    wishes: Mapping[str, Wish] = field(default_factory=dict)


class TargetOngoing:
    """A policy that sizes each unit separately, for ``target_ongoing_requests`` per replica. It applies no bounds."""

    def __init__(self, config: TargetOngoingConfig, spec: PipelineSpec) -> None:
        """Create the policy for the units in ``spec``. It does not use their profiles."""
        self._config = config
        self._keys = tuple(spec.keys())

    def start(self) -> TargetOngoingState:
        """Return the state before the first decision."""
        return TargetOngoingState()

    def decide(
        self, now_s: float, observation: Observation, state: TargetOngoingState
    ) -> Decision[TargetOngoingState]:
        """Return the replicas that Serve would request at ``now_s``."""
        replicas, reasons, wishes = {}, {}, {}
        for key in self._keys:
            seen, name = observation.units[key], str(key)
            wanted = self._desired(seen)
            replicas[key], wishes[name] = self._delayed(now_s, wanted, seen, state.wishes.get(name, Wish()))
            change = f"{seen.target} -> {replicas[key]}" if replicas[key] != seen.target else f"{seen.target}"
            reasons[key] = (
                f"{name} {change}: {seen.ongoing_requests / max(1, seen.ready):.1f} ongoing requests per replica, "
                f"target {self._config.target_ongoing_requests:g}"
            )
        return Decision(replicas, reasons, TargetOngoingState(wishes))

    def _desired(self, seen: UnitObservation) -> int:
        ready = seen.ready
        if ready == 0:
            return seen.target
        desired = ready * (seen.ongoing_requests / (self._config.target_ongoing_requests * ready))
        delta = desired - ready
        factor = self._config.upscaling_factor if delta > 0 else self._config.downscaling_factor
        scaled = math.ceil(ready + factor * delta)
        # A factor below 1 can round a step down to no change. Then remove one replica.
        return scaled - 1 if math.ceil(desired) < ready and scaled == ready else scaled

    def _delayed(self, now_s: float, desired: int, seen: UnitObservation, wish: Wish) -> tuple[int, Wish]:
        if seen.ready == 0:
            if seen.ongoing_requests > 0:
                return max(math.ceil(self._config.upscaling_factor), seen.target), wish
            if desired > 0:
                return desired, wish
        desired, target, config = max(0, desired), seen.target, self._config
        if desired == target:
            return target, Wish()
        if desired > target:
            counter, delay_s = max(0, wish.counter) + 1, config.upscale_delay_s
        else:
            counter, delay_s = min(0, wish.counter) - 1, config.downscale_delay_s
            if target != 1:
                desired = max(1, desired)
            elif config.downscale_to_zero_delay_s is not None:
                delay_s = config.downscale_to_zero_delay_s
        turned = wish.counter * counter < 0
        since_s = now_s if turned or wish.since_s is None else wish.since_s
        if now_s - since_s + _ELAPSED_EPSILON_S >= delay_s:
            return desired, Wish()
        return target, Wish(counter, since_s)


POLICY = PolicyKind(config=TargetOngoingConfig, make=TargetOngoing, reads_profiles=False, is_limited=False)
