"""The policy for a pipeline without ``autoscaling:``. It keeps the replica counts from the YAML file."""

from autoscale.policies.base import Decision, Observation
from autoscale.spec import PipelineSpec


class Fixed:
    """A policy that keeps the initial replicas."""

    def __init__(self, spec: PipelineSpec) -> None:
        """Read the initial replicas from ``spec``."""
        self._replicas = {key: spec.placed(key).initial_replicas for key in spec.keys()}
        self._reasons = {
            key: f"{key} stays at {n}: the pipeline has no autoscaling" for key, n in self._replicas.items()
        }

    def start(self) -> None:
        """Return None, because the policy has no state."""

    def decide(self, now_s: float, observation: Observation, state: None) -> Decision[None]:
        """Return the initial replicas."""
        return Decision(self._replicas, self._reasons, state)
