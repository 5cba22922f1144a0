"""A unit whose replicas do nothing, so that two cores can run many of them. Serve controls it as any unit.

It reports the same counts as a real replica to Serve's controller, at the same interval. This module imports little,
because each replica's process imports it.
"""

from typing import Any, cast

from ray import serve
from ray.serve import Application, Deployment

IMPORT_PATH = "benchmarks.growth.null_unit:build"
COUNTS = (
    "waiting_candidates",
    "arrived_requests",
    "arrived_candidates",
    "served_candidates",
    "shed_requests",
    "missed_requests",
)


class NullUnit:
    """Answers each request with an empty JSON object."""

    async def __call__(self, request: Any) -> dict[str, Any]:
        """Return an empty object."""
        return {}

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the counts of a replica without requests."""
        return dict.fromkeys(COUNTS, 0.0)


def build(args: dict[str, Any]) -> Application:
    """Compose the only deployment of the pipeline in ``args``. Serve imports this by name."""
    from services.app import PipelineArgs, replicas_options
    from services.config.placement import placements

    parsed = PipelineArgs.model_validate(args)
    placement = placements(parsed.config, parsed.config.ingress_unit)[0]
    deployment = cast(Deployment, serve.deployment(NullUnit)).options(
        name=placement.deployment,
        ray_actor_options={"num_cpus": placement.cpus},
        **replicas_options(placement, parsed),
    )
    application: Application = deployment.bind()
    return application
