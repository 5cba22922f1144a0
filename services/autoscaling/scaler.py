"""The scaler: a policy of the lab put to work on the deployments of a running pipeline.

It looks at what Serve's controller hands it, asks the policy every ``decision_interval_s``, and between two decisions
gives back the targets that stand. Time is an argument.
"""

import dataclasses
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from autoscale.config import AutoscalingConfig, make_policy
from autoscale.policies.base import Decision, Observation, Policy
from autoscale.profiles import Profile
from autoscale.spec import Key, PipelineSpec
from services.autoscaling.kv_store import Board, post_weights
from services.autoscaling.metrics import ScalingMetrics
from services.autoscaling.observations import Context, observe
from services.autoscaling.spec import lowered
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, RouterConfig, all_placements
from services.logs.traffic import TrafficLog

State = TypeVar("State")
_STATE = "policy-state"
logger = logging.getLogger("ray.serve")


class Scaler(Generic[State]):
    """One policy and what it remembers."""

    def __init__(
        self,
        policy: Policy[State],
        spec: PipelineSpec,
        placed: Mapping[str, Placement],
        board: Board | None = None,
        made_of: bytes = b"",
        traffic: TrafficLog | None = None,
    ) -> None:
        """Decide for the deployments ``placed``, by name.

        board: where weights and state are noted. made_of: what the policy was made of; a state noted under the same
        is gone on with, after the controller has started again. traffic: where decisions are recorded.
        """
        self._policy, self._spec, self._placed, self._board = policy, spec, dict(placed), board
        self._made_of, self._traffic = made_of, traffic
        self._metrics = {
            name: ScalingMetrics(spec.name, place.key, spec.placed(place.key).max_replicas, spec.p99_ms)
            for name, place in placed.items()
        }
        self._state = self._noted_state()
        self._next_s = float("-inf")

    def __del__(self) -> None:
        """Let go of what records; the controller is not kept waiting for it."""
        if self._traffic is not None:
            self._traffic.stop()

    def targets(self, contexts: Mapping[str, Context], now_s: float) -> dict[str, int]:
        """Give the replicas that each deployment shall have."""
        standing = {name: context.target_num_replicas for name, context in contexts.items()}
        if now_s < self._next_s:
            return standing
        # Set before anything can fail: an error is met again after the interval, not in every loop.
        self._next_s = now_s + self._spec.decision_interval_s
        known = {name: context for name, context in contexts.items() if name in self._placed}
        observation = observe(
            {self._placed[name].key: context for name, context in known.items()},
            now_s,
            self._spec.decision_interval_s,
        )
        try:
            decision = self._policy.decide(now_s, observation, self._state)
            decided = {name: int(decision.replicas[self._placed[name].key]) for name in known}
        except BaseException:
            for name in known:
                self._metrics[name].failed()
            raise
        self._state = decision.state
        for name in known:
            self._tell(name, standing[name], decided[name], decision, observation)
        self._note(decision)
        return standing | decided

    def _tell(
        self, name: str, before: int, after: int, decision: Decision[State], observation: Observation
    ) -> None:
        key = self._placed[name].key
        self._metrics[name].decided(before, after, observation.units[key], observation.age_s)
        if after != before:
            reason = decision.reasons.get(key, f"{name} {before} -> {after}")
            if self._traffic is not None:
                self._traffic.note("decision", key.unit, key.pool, after, text=reason)
            logger.info(
                reason,
                extra={"pipeline": self._spec.name, "unit": key.unit, "pool": key.pool}
                | {"replicas_before": before, "replicas_after": after},
            )

    def _note(self, decision: Decision[State]) -> None:
        if self._board is None:
            return
        for unit in self._spec.units:
            if len(unit.placed) > 1:
                own = [place for place in self._placed.values() if place.key.unit == unit.name]
                # Written in any case: weights of a policy before this one may still stand there.
                weights = decision.weights.get(unit.name) or RouterConfig.of(own).weights
                post_weights(self._board, unit.name, weights)
        self._board.post(_STATE, pickle.dumps((self._made_of, decision.state)))

    def _noted_state(self) -> State:
        if self._board is not None:
            try:
                note = self._board.read(_STATE)
                made_of, state = (b"", None) if note is None else pickle.loads(note)
            except Exception:
                logger.exception("the policy's state could not be read from Ray's store: it starts anew")
            else:
                if state is not None and made_of == self._made_of:
                    noted: State = state
                    return noted
        return self._policy.start()


def pipeline_scaler(
    config: PipelineConfig, profiles: Mapping[Key, Profile], board: Board, home: Path | None = None
) -> Scaler[Any]:
    """Make the scaler of all of a pipeline's deployments; where ``home`` is given, decisions may be recorded.

    Raises:
        AutoscaleError: the policy does not fit the pipeline.
    """
    assert config.autoscaling is not None
    spec = lowered(config, profiles)
    placed = {placement.deployment: placement for placement in all_placements(config)}
    made_of = f"{config.autoscaling.model_dump_json()}{sorted(map(str, spec.keys()))}".encode()
    traffic: TrafficLog | None = None
    if config.record is not None and home is not None:
        traffic = TrafficLog(config.record, home, config.model_dump_json(), "controller")
    return Scaler(make_policy(config.autoscaling, spec), spec, placed, board, made_of, traffic)


def unit_scaler(config: PipelineConfig, profiles: Mapping[Key, Profile], deployment: str) -> Scaler[Any]:
    """Make the scaler of one deployment by itself: its unit in one pool, with its share of the objective.

    Raises:
        AutoscaleError: the policy does not fit the pipeline.
    """
    assert config.autoscaling is not None
    spec = lowered(config, profiles)
    place = next(each for each in all_placements(config) if each.deployment == deployment)
    unit = spec.unit(place.key.unit)
    share = spec.shares.get(unit.name, 1 / len(spec.units))
    alone = dataclasses.replace(
        spec,
        units=(dataclasses.replace(unit, placed=(unit.in_pool(place.key.pool),)),),
        p99_ms=spec.p99_ms * share,
        shares={},
    )
    own = {
        name: bounds
        for name, bounds in config.autoscaling.bounds.items()
        if name in (unit.name, str(place.key))
    }
    changes = {"p99_ms": spec.p99_ms * share, "shares": {}, "bounds": own}
    scaling: AutoscalingConfig = config.autoscaling.model_copy(update=changes)
    return Scaler(make_policy(scaling, alone), alone, {deployment: place})
