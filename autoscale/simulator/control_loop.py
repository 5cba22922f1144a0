"""The control loop: it turns delayed metrics into observations, and the policy's decisions into targets."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autoscale.errors import PolicyError
from autoscale.policies.base import Decision, Observation, Policy, UnitObservation
from autoscale.simulator.cluster.cluster import Cluster
from autoscale.simulator.engine_base import SimulationEngine, UnitCounts
from autoscale.simulator.results import DecisionRecord
from autoscale.spec import Key, PipelineSpec


class ControlLoop:
    """Runs one policy, like the adapter in Serve's controller."""

    def __init__(
        self,
        spec: PipelineSpec,
        policy: Policy[Any],
        cluster: Cluster,
        engine: SimulationEngine,
        look_back_s: float,
    ) -> None:
        """Start with the policy's first state. ``look_back_s`` is the window for ``ongoing_requests``."""
        self._spec, self._policy, self._cluster, self._engine = spec, policy, cluster, engine
        self._look_back_s = look_back_s
        self._state = policy.start()
        self._measured_s = 0.0
        self._before: Mapping[Key, UnitCounts] = {}
        self._ongoing: dict[Key, deque[tuple[float, float]]] = {key: deque() for key in spec.keys()}
        self._seen: dict[Key, UnitObservation] = {}
        self.decisions: list[DecisionRecord] = []

    def measure(self, now_s: float) -> None:
        """Take the metrics that the next decision will see. In the first measurement all rates are 0."""
        if self._before and now_s <= self._measured_s:
            return
        elapsed_s = now_s - self._measured_s if self._before else math.inf
        measured, seen = self._engine.measure(), {}
        for key, counts in measured.items():
            before = self._before.get(key, counts)
            ongoing = self._ongoing[key]
            ongoing.append((now_s, counts.ongoing_s))
            while len(ongoing) > 2 and ongoing[1][0] <= now_s - self._look_back_s:
                ongoing.popleft()
            since_s, since = ongoing[0]
            seen[key] = UnitObservation(
                ready=self._cluster.ready[key].count,
                target=self._cluster.targets[key],
                arriving_requests_per_s=(counts.arrived_requests - before.arrived_requests) / elapsed_s,
                arriving_candidates_per_s=(counts.arrived_candidates - before.arrived_candidates) / elapsed_s,
                served_candidates_per_s=(counts.served_candidates - before.served_candidates) / elapsed_s,
                shed_requests_per_s=(counts.shed_requests - before.shed_requests) / elapsed_s,
                missed_requests_per_s=(counts.missed_requests - before.missed_requests) / elapsed_s,
                waiting_candidates=counts.waiting_candidates,
                ongoing_requests=(counts.ongoing_s - since) / (now_s - since_s) if now_s > since_s else 0.0,
            )
        self._before, self._measured_s, self._seen = measured, now_s, seen

    def decide(self, now_s: float, *, keep: bool) -> None:
        """Run the policy and set its targets, within the bounds.

        Args:
            now_s: the present.
            keep: whether to record the decision even if no target changed.

        Raises:
            PolicyError: the decision has other keys than the pipeline, or an invalid number of replicas.
        """
        # Serve's controller counts replicas itself, so these two numbers are not delayed.
        now = {
            key: _with_replicas(unit, self._cluster.ready[key].count, self._cluster.targets[key])
            for key, unit in self._seen.items()
        }
        observation = Observation(now, now_s - self._measured_s)
        decision = self._policy.decide(now_s, observation, self._state)
        self._state = decision.state
        changed = False
        for key, target in self._bounded(decision).items():
            if target != self._cluster.targets[key]:
                changed = True
                self._cluster.set_target(now_s, key, target)
        for unit, weights in decision.weights.items():
            self._engine.weigh(unit, weights)
        if changed or keep:
            self.decisions.append(
                DecisionRecord(
                    now_s,
                    changed,
                    {str(key): target for key, target in self._cluster.targets.items()},
                    {str(key): reason for key, reason in decision.reasons.items()},
                )
            )

    def _bounded(self, decision: Decision[Any]) -> dict[Key, int]:
        keys = list(self._spec.keys())
        if set(decision.replicas) != set(keys):
            raise PolicyError(
                f"{type(self._policy).__name__}: a decision must have exactly the keys {sorted(map(str, keys))}, "
                f"got {sorted(map(str, decision.replicas))}; return a number for each of these keys"
            )
        targets = {}
        for key in keys:
            wanted = decision.replicas[key]
            if not isinstance(wanted, int) or wanted < 0:
                raise PolicyError(
                    f"{type(self._policy).__name__}: replicas of {key} must be a whole number of 0 or more, "
                    f"got {wanted!r}"
                )
            placed = self._spec.placed(key)
            targets[key] = min(max(wanted, placed.min_replicas), placed.max_replicas)
        return targets


def _with_replicas(unit: UnitObservation, ready: int, target: int) -> UnitObservation:
    """Return the observation with these replica counts. Usually they have not changed since the measurement."""
    if (unit.ready, unit.target) == (ready, target):
        return unit
    return replace(unit, ready=ready, target=target)
