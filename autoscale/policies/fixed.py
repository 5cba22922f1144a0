"""``fixed``: what a pipeline without ``autoscaling:`` does: it keeps the replicas that its YAML gives it."""

from autoscale.policies.base import Decision, Observation
from autoscale.spec import PipelineSpec


class Fixed:
    """Keeps the initial replicas."""

    def __init__(self, spec: PipelineSpec) -> None:
        """Read how many there are."""
        self._replicas = {key: spec.placed(key).initial_replicas for key in spec.keys()}
        self._reasons = {
            key: f"{key} stays at {n}: the pipeline has no autoscaling" for key, n in self._replicas.items()
        }

    def start(self) -> None:
        """Give the state before the first decision: there is none."""

    def decide(self, now_s: float, observation: Observation, state: None) -> Decision[None]:
        """Give the initial replicas."""
        return Decision(self._replicas, self._reasons, state)
