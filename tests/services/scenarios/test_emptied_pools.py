"""Serve's own rules around the policy, if a pool of a unit has no replica."""

from dataclasses import dataclass, field
from typing import Any

from ray.serve._private.common import DeploymentID
from ray.serve.autoscaling_policy import _apply_app_level_autoscaling_config
from ray.serve.config import AutoscalingConfig

from services.autoscaling.serve_policy import PipelinePolicy, policy_arguments
from services.config.loading import validated
from tests.pipelines import merged, pipeline_document
from tests.services.autoscaling.keys import MemoryKeys
from tests.services.autoscaling.test_observations import Seen, stats_of
from tests.services.spilling.pipeline import SPILLING, spilling_profiles


@dataclass
class Context(Seen):
    """Serve's context of a deployment, with the fields that Serve's rules read."""

    policy_state: dict[str, Any] = field(default_factory=dict)
    config: AutoscalingConfig = field(
        default_factory=lambda: AutoscalingConfig(
            min_replicas=0, upscale_delay_s=0, downscale_delay_s=0, downscale_to_zero_delay_s=0
        )
    )


def applied(policy: PipelinePolicy, replicas: dict[str, int], calls: float) -> dict[str, int]:
    """Return the targets that Serve applies for ready replicas and the calls of the last 30 s."""
    contexts: dict[Any, Any] = {}
    for name, count in replicas.items():
        contexts[DeploymentID(name, "small")] = context = Context(count, count, calls)
        for second in range(5 * bool(count)):
            context.tell("a", 95.0 + second, stats_of(10 * second))
    called: Any = policy.__call__
    listed, _ = _apply_app_level_autoscaling_config(called)(contexts)
    return {each.name: listed.get(each, context.target_num_replicas) for each, context in contexts.items()}


def test_serve_does_not_start_a_replica_in_an_emptied_pool() -> None:
    config = validated(merged(pipeline_document(), SPILLING), "test")
    arguments = policy_arguments(config, {(p.unit, p.pool): p for p in spilling_profiles()})
    one_pool = {"main@cpu": 1, "scorer@cpu": 1, "scorer@gpu": 0}
    assert applied(PipelinePolicy(**arguments, keys=MemoryKeys()), one_pool, calls=0.2) == one_pool


def test_serve_starts_a_replica_of_a_called_unit_that_has_none_before_any_decision() -> None:
    undecided = PipelinePolicy(config={"name": "not a pipeline"}, profiles=[])
    nowhere = {"main@cpu": 1, "scorer@cpu": 0, "scorer@gpu": 0}
    assert applied(undecided, nowhere, calls=0.0) == nowhere
    # Here Serve saw calls to both pools. In a service, only the pool that the router chose has calls.
    assert applied(undecided, nowhere, calls=0.2) == {"main@cpu": 1, "scorer@cpu": 1, "scorer@gpu": 1}
