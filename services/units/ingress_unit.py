"""The ingress as a Serve deployment."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from ray import serve
from ray.exceptions import RayTaskError
from ray.serve.handle import DeploymentHandle

from services.autoscaling.kv_store import FollowedWeights, KvStore
from services.autoscaling.observations import recorded
from services.config.pipeline import PipelineConfig
from services.config.placement import RouterConfig
from services.config.units import StageName
from services.errors import ServiceError
from services.ingress.http import RankApp
from services.ray_internals.serve import has_replicas
from services.sharding.actors import start_group
from services.stages.base import RemoteStage
from services.units.ingress_replica import build_engine
from services.units.pool_weights import PoolWeights
from services.units.release_commands import ReleaseCommands
from services.units.remote_ranker import RemoteRanker
from services.units.replica import closed_on_error, group_runtimes
from services.units.router import PoolRouter, RankerPool


class IngressUnit(ReleaseCommands):
    """The ingress. Serve makes one object of this class in each replica."""

    def __init__(
        self, config: dict[str, Any], home: str, rankers: "Mapping[str, DeploymentHandle[Any]] | None" = None
    ) -> None:
        """Load and warm the unit's release. Serve calls this on the replica's event loop.

        Args:
            config: the pipeline's configuration as plain data.
            home: the folder that the configuration's relative paths start from.
            rankers: handles of the ranker unit's deployments, by pool. None if this unit runs the ranker itself.
        """
        self._closing = ExitStack()
        pipeline = PipelineConfig.model_validate(config)
        replica = serve.get_replica_context().replica_id.unique_id
        remote: dict[StageName, RemoteStage] = {}
        self._weights: PoolWeights | None = None
        if rankers is not None:
            router = PoolRouter({pool: ranker_pool(handle) for pool, handle in rankers.items()})
            self._weights = PoolWeights(router.reweigh)
            remote["ranker"] = RemoteStage("ranker", RemoteRanker(router))
        with closed_on_error(self._closing) as closing:
            group = start_group(pipeline)
            self._engine = build_engine(
                pipeline,
                Path(home),
                replica=replica,
                remote=remote,
                load_runtime=group_runtimes(group, closing),
                closing=closing,
            )
            if self._weights is not None and len(rankers or ()) > 1 and pipeline.autoscaling is not None:
                closing.callback(_follow_weights(pipeline, self._weights).close)
        self._app = RankApp(self._engine)
        super().__init__(self._engine.live, replica, group)

    def __serve_build_asgi_app__(self) -> RankApp:
        """Return the application object for Serve."""
        return self._app

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the load and the queue length for the autoscaling policy. Serve does not see the batcher's queue."""
        return recorded(self._engine.runner.waiting_candidates, self._engine.metrics)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Set the configured weights of the ranker's pools. Serve calls this at the start and after each change."""
        if self._weights is not None:
            self._weights.configure(RouterConfig.model_validate(user_config).weights)

    async def __del__(self) -> None:
        """Close all parts. Serve calls this even if ``__init__`` raised."""
        self._closing.close()


def _follow_weights(pipeline: PipelineConfig, weights: PoolWeights) -> FollowedWeights:
    """Update the weights whenever the autoscaling policy changes them. Call it inside a running event loop."""
    loop = asyncio.get_running_loop()
    return FollowedWeights(
        KvStore(pipeline.name),
        pipeline.ranker_unit,
        lambda decided: loop.call_soon_threadsafe(weights.decide, decided),
    )


def ranker_pool(handle: "DeploymentHandle[Any]") -> RankerPool:
    """Wrap the handle of one pool's ranker deployment, so that the router can use it."""

    async def call(payload: bytes) -> bytes:
        try:
            answer: bytes = await handle.score.remote(payload)
        except RayTaskError as error:
            if isinstance(error.cause, ServiceError):
                raise error.cause from error
            raise
        return answer

    return RankerPool(call, partial(has_replicas, handle))
