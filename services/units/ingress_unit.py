"""The unit that answers HTTP, as a Serve deployment."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ray import serve
from ray.exceptions import RayTaskError
from ray.serve.handle import DeploymentHandle

from models.runtimes import load_runtime
from services.autoscaling.kv_store import Board, FollowedWeights
from services.autoscaling.observations import recorded
from services.config.pipeline import PipelineConfig
from services.config.placement import RouterConfig
from services.config.units import StageName
from services.errors import ServiceError
from services.ingress.engine import Engine
from services.ingress.http import RankApp
from services.ingress.serve_internals import has_replicas
from services.sharding.actors import start_group
from services.stages.base import RemoteStage
from services.units.release_commands import Swapping
from services.units.remote_ranker import RemoteRanker
from services.units.router import PoolRouter, RankerPool


class IngressUnit(Swapping):
    """The unit that answers HTTP."""

    def __init__(
        self, config: dict[str, Any], home: str, rankers: "Mapping[str, DeploymentHandle[Any]] | None" = None
    ) -> None:
        """Load and warm the unit's release; Serve calls it on the replica's event loop.

        rankers: the ranker unit's deployments by pool, where it is another unit.
        """
        pipeline = PipelineConfig.model_validate(config)
        replica = serve.get_replica_context().replica_id.unique_id
        remote: dict[StageName, RemoteStage] = {}
        self._router: PoolRouter | None = None
        if rankers is not None:
            self._router = PoolRouter({pool: ranker_pool(handle) for pool, handle in rankers.items()})
            remote["ranker"] = RemoteStage("ranker", RemoteRanker(self._router))
        self._followed: FollowedWeights | None = None
        if self._router is not None and len(rankers or ()) > 1 and pipeline.autoscaling is not None:
            loop, reweigh = asyncio.get_running_loop(), self._router.reweigh
            self._followed = FollowedWeights(
                Board(pipeline.name),
                pipeline.unit_of("ranker"),
                lambda weights: loop.call_soon_threadsafe(reweigh, weights),
            )
        group = start_group(pipeline)
        load = load_runtime if group is None else group.load_runtime
        self._engine = Engine(pipeline, Path(home), replica=replica, remote=remote, load_runtime=load)
        self._app = RankApp(self._engine)
        super().__init__(self._engine.live, replica, group)

    def __serve_build_asgi_app__(self) -> RankApp:
        """Give Serve the application object."""
        return self._app

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Queues live in the batcher: what autoscaling policies read."""
        return recorded(self._engine.runner.waiting_candidates, self._engine.metrics)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take the weights of the ranker's pools; Serve calls it at the start and whenever they change."""
        if self._router is not None:
            self._router.reweigh(RouterConfig.model_validate(user_config).weights)

    async def __del__(self) -> None:
        """Stop the threads, and the other ranks."""
        if self._followed is not None:
            self._followed.close()
        self._engine.close()
        if self.group is not None:
            self.group.close()


def ranker_pool(handle: "DeploymentHandle[Any]") -> RankerPool:
    """Return the pool that a deployment of the ranker unit is to a router."""

    async def call(payload: bytes) -> bytes:
        try:
            answer: bytes = await handle.score.remote(payload)
        except RayTaskError as error:
            if isinstance(error.cause, ServiceError):
                raise error.cause from error
            raise
        return answer

    return RankerPool(call, partial(has_replicas, handle))
