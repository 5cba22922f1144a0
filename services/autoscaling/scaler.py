"""The scaler: it applies an autoscaling policy to a running pipeline's deployments.

It gets its observations from Serve's controller and asks the policy every ``decision_interval_s``. Between
two decisions it returns the current targets. Methods get the time as an argument.
"""

import dataclasses
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from autoscale import policies
from autoscale.config import AutoscalingConfig, make_policy
from autoscale.policies.base import Decision, Observation, Policy
from autoscale.profiles import Profile
from autoscale.spec import Key, PipelineSpec
from models.code_identity import hash_of_code
from services.autoscaling.kv_store import KvStore, post_weights
from services.autoscaling.metrics import ScalingMetrics
from services.autoscaling.observations import Context, observe
from services.autoscaling.spec import lowered
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, all_placements
from services.logs.traffic import TrafficLog

State = TypeVar("State")
_STATE = "policy-state"
logger = logging.getLogger("ray.serve")


class Scaler(Generic[State]):
    """A policy and its state."""

    def __init__(
        self,
        policy: Policy[State],
        spec: PipelineSpec,
        placed: Mapping[str, Placement],
        store: KvStore | None = None,
        identity: bytes = b"",
        traffic: TrafficLog | None = None,
    ) -> None:
        """Decide for the deployments ``placed``.

        Args:
            policy: the policy.
            spec: the pipeline as the policy sees it.
            placed: the deployments, by name.
            store: keeps the weights and the policy's state.
            identity: identifies the policy and its settings. A restarted controller continues with a stored
                state only if its identity is the same.
            traffic: records the decisions.
        """
        self._policy, self._spec, self._placed, self._store = policy, spec, dict(placed), store
        self._identity, self._traffic = identity, traffic
        self._metrics = {
            name: ScalingMetrics(spec.name, each.key, spec.placed(each.key).max_replicas, spec.p99_ms)
            for name, each in placed.items()
        }
        self._state = self._stored_state()
        self._next_s = float("-inf")

    def __del__(self) -> None:
        """Stop the recording without waiting for it, so that the controller is not blocked."""
        if self._traffic is not None:
            self._traffic.stop()

    def targets(self, contexts: Mapping[str, Context], now_s: float) -> dict[str, int]:
        """Return the replica count that each deployment should have."""
        current = {name: context.target_num_replicas for name, context in contexts.items()}
        if now_s < self._next_s:
            return current
        # Set the next decision's time before anything can fail. An error then repeats only after the interval, not in
        # every loop.
        self._next_s = now_s + self._spec.decision_interval_s
        contexts_here = {name: context for name, context in contexts.items() if name in self._placed}
        observation = observe(
            {self._placed[name].key: context for name, context in contexts_here.items()},
            now_s,
            self._spec.decision_interval_s,
        )
        try:
            decision = self._policy.decide(now_s, observation, self._state)
            decided = {name: int(decision.replicas[self._placed[name].key]) for name in contexts_here}
        except BaseException:
            for name in contexts_here:
                self._metrics[name].failed()
            raise
        self._state = decision.state
        for name in contexts_here:
            self._report(name, current[name], decided[name], decision, observation)
        self._post(decision)
        return current | decided

    def _report(
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

    def _post(self, decision: Decision[State]) -> None:
        if self._store is None:
            return
        for unit in self._spec.units:
            if len(unit.placed) > 1:
                # Always written, because the store may still have an earlier policy's weights. Without weights of the
                # policy, the ingresses use the configured ones.
                post_weights(self._store, unit.name, decision.weights.get(unit.name, {}))
        self._store.post(_STATE, pickle.dumps((self._identity, decision.state)))

    def _stored_state(self) -> State:
        if self._store is not None:
            try:
                value = self._store.read(_STATE)
                identity, state = (b"", None) if value is None else pickle.loads(value)
            except Exception:
                logger.exception(
                    "the policy's state could not be read from Ray's key-value store; "
                    "the policy starts from its initial state"
                )
            else:
                if state is not None and identity == self._identity:
                    stored: State = state
                    return stored
        return self._policy.start()


def pipeline_scaler(
    config: PipelineConfig, profiles: Mapping[Key, Profile], store: KvStore, home: Path | None = None
) -> Scaler[Any]:
    """Make the scaler for all of a pipeline's deployments. Decisions are recorded if ``home`` and ``record`` are set.

    Raises:
        AutoscaleError: the policy does not fit the pipeline.
    """
    assert config.autoscaling is not None
    spec = lowered(config, profiles)
    placed = {placement.deployment: placement for placement in all_placements(config)}
    identity = "".join(
        (config.autoscaling.model_dump_json(), str(sorted(map(str, spec.keys()))), _policy_code())
    )
    traffic: TrafficLog | None = None
    if config.record is not None and home is not None:
        traffic = TrafficLog(config.record, home, config.model_dump_json(), "controller")
    return Scaler(make_policy(config.autoscaling, spec), spec, placed, store, identity.encode(), traffic)


def _policy_code() -> str:
    """Return a hash of the policies' code. A state that other code has stored may have other fields."""
    return hash_of_code(sorted(Path(policies.__path__[0]).rglob("*.py")))


def unit_scaler(config: PipelineConfig, profiles: Mapping[Key, Profile], deployment: str) -> Scaler[Any]:
    """Make the scaler for a single deployment: one unit in one pool, with its share of the objective.

    Raises:
        AutoscaleError: the policy does not fit the pipeline.
    """
    assert config.autoscaling is not None
    spec = lowered(config, profiles)
    placement = next(each for each in all_placements(config) if each.deployment == deployment)
    unit = spec.unit(placement.key.unit)
    share = spec.shares.get(unit.name, 1 / len(spec.units))
    unit_spec = dataclasses.replace(
        spec,
        units=(dataclasses.replace(unit, placed=(unit.in_pool(placement.key.pool),)),),
        p99_ms=spec.p99_ms * share,
        shares={},
    )
    unit_bounds = {
        name: bounds
        for name, bounds in config.autoscaling.bounds.items()
        if name in (unit.name, str(placement.key))
    }
    changes = {"p99_ms": spec.p99_ms * share, "shares": {}, "bounds": unit_bounds}
    scaling: AutoscalingConfig = config.autoscaling.model_copy(update=changes)
    return Scaler(make_policy(scaling, unit_spec), unit_spec, {deployment: placement})
