"""Composition: a pipeline's units as Serve deployments, or as one plain ASGI application."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.exceptions import RayTaskError
from ray.serve import Application, Deployment
from ray.serve.handle import DeploymentHandle

from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from services.autoscaling.kv_store import Board, FollowedWeights
from services.autoscaling.observations import recorded
from services.autoscaling.serve_options import neutral
from services.autoscaling.serve_policy import DEPLOYMENT_POLICY, policy_arguments
from services.autoscaling.spec import lowered, needed_profiles
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, RouterConfig, placement_of, placements, sharded_runtime
from services.config.runtimes import resolved
from services.config.units import StageName
from services.errors import ServiceError
from services.ingress.asgi import Receive, Scope, Send
from services.ingress.engine import Engine
from services.ingress.http import RankApp
from services.ingress.serve_internals import has_replicas
from services.logs.traffic import TrafficLog
from services.paths import home_directory
from services.releases.live import LiveReleases, Loaded
from services.releases.release import Release
from services.releases.shared_parts import SharedParts
from services.releases.throttle import Rest
from services.releases.warmup import batch_shapes, sample_batch, warm
from services.scheduling.ladder import Ladder
from services.scheduling.runner import Runner
from services.sharding.actors import group_options, start_group
from services.sharding.group import ShardGroup
from services.sharding.processes import Processes
from services.stages.base import RemoteStage
from services.stages.history_cache import LookupCounts
from services.telemetry.metrics import Flusher, ReleaseMetrics, UnitMetrics, history_lookups
from services.units.release_commands import Swapping
from services.units.remote_ranker import RankerService, RemoteRanker
from services.units.router import PoolRouter, RankerPool

IMPORT_PATH = "services.app:build"
_SURGE_PERCENT = 100
_HEALTH_CHECK_PERIOD_S = 2.0


class PipelineArgs(BaseModel):
    """What a Serve config gives ``build``: the pipeline's YAML, and the home its paths are relative to.

    policy_beside: the Serve config names the application-level policy; else each deployment has one of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: PipelineConfig
    home: str
    policy_beside: bool = False


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
            self._router = PoolRouter({pool: _ranker_pool(handle) for pool, handle in rankers.items()})
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


class RankerUnit(Swapping):
    """The ranker as a unit of its own."""

    async def __init__(self, config: dict[str, Any], home: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Load and warm the ranker, then rehearse calls."""
        pipeline = PipelineConfig.model_validate(config)
        name = pipeline.unit_of("ranker")
        unit = pipeline.units[name]
        replica = serve.get_replica_context().replica_id.unique_id
        histories = history_lookups(pipeline.name, replica)
        group = start_group(pipeline)
        shared = SharedParts(load_runtime if group is None else group.load_runtime)
        load = partial(_load_ranker, home=Path(home), shared=shared, histories=histories)
        live = LiveReleases(pipeline, Path(home), load)
        super().__init__(live, replica, group)
        deployment = serve.get_replica_context().deployment
        pool = placement_of(pipeline, deployment).key.pool
        self._traffic: TrafficLog | None = None
        if pipeline.record is not None:
            self._traffic = TrafficLog(pipeline.record, Path(home), pipeline.model_dump_json(), replica)
        self._metrics = UnitMetrics(name, replica, pool, self._traffic)
        self._runner: Runner[RaggedBatch] = Runner(
            merge=lambda batches, _release: RaggedBatch.concatenate(batches),
            ladders_of=lambda release: live.of(release).ladders,
            batching=unit.batching,
            max_in_flight=unit.max_calls_in_flight,
            metrics=self._metrics,
        )
        self._service = RankerService(self._runner, live)
        releases = ReleaseMetrics(pipeline.name, name, replica, lambda: live.failed is not None)
        self._flusher = Flusher([self._metrics, releases, histories])
        release, each = live.active.release, pipeline.candidates.count
        for requests in batch_shapes(pipeline):
            await self._service.rehearse(
                sample_batch(
                    release.layout, release.view, len(release.catalogue), requests, each, release.name
                )
            )

    async def score(self, payload: bytes) -> bytes:
        """Score one packed batch."""
        return await self._service.score(payload)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Queues live in the batcher: what autoscaling policies read."""
        return recorded(self._runner.waiting_candidates, self._metrics)

    async def __del__(self) -> None:
        """Stop the threads, and the other ranks."""
        self._runner.close()
        if self._traffic is not None:
            self._traffic.close()
        self._flusher.close()
        self.live.close()
        if self.group is not None:
            self.group.close()


def _load_ranker(
    config: PipelineConfig, rest: Rest, *, home: Path, shared: SharedParts, histories: LookupCounts
) -> Loaded:
    stages = config.units[config.unit_of("ranker")].stages
    release = Release(config, home, stages, shared=shared, histories=histories, rest=rest)
    ladders = [Ladder.of(stage) for stage in release.stages.values()]
    warm(release, config, ladders, rest)
    return Loaded(release, ladders)


def build(args: PipelineArgs) -> Application:
    """Compose the pipeline's deployments, one a unit; Serve imports this by name."""
    home = args.home
    config = resolved(args.config, Path(home))
    dumped = config.model_dump(mode="json")
    ingress_name, ranker_name = config.ingress_unit, config.unit_of("ranker")
    arguments: list[Any] = [dumped, home]
    user_config: dict[str, Any] | None = None
    if ranker_name != ingress_name:
        placed = placements(config, ranker_name)
        arguments.append({p.key.pool: _deployment(RankerUnit, p, args).bind(dumped, home) for p in placed})
        user_config = RouterConfig.of(placed).model_dump()
    ingress = _deployment(serve.ingress()(IngressUnit), placements(config, ingress_name)[0], args)
    return ingress.options(user_config=user_config).bind(*arguments)


class StandaloneApp:
    """The same application object without Serve: for a plain ASGI server, and for tests."""

    def __init__(self, config_path: Path, home: Path | None = None) -> None:
        """Load at the first call, on the server's own event loop."""
        self._home = home or home_directory()
        self._config = resolved(load_config(config_path), self._home)
        self._app: RankApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if self._app is None:
            sharded = sharded_runtime(self._config, self._config.ingress_unit)
            load = load_runtime if sharded is None else ShardGroup(sharded, Processes()).load_runtime
            self._app = RankApp(Engine(self._config, self._home, replica="standalone", load_runtime=load))
        await self._app(scope, receive, send)


def build_application(config_path: str | Path) -> StandaloneApp:
    """Give a one-unit pipeline as an ASGI application."""
    return StandaloneApp(Path(config_path))


def _deployment(unit_class: type, placement: Placement, args: PipelineArgs) -> Deployment:
    deployment = cast(Deployment, serve.deployment(unit_class))
    return deployment.options(**deployment_options(placement, args))


def deployment_options(placement: Placement, args: PipelineArgs) -> dict[str, Any]:
    """Give Serve's options of a unit in a pool: its name, how many, on which nodes, and what one takes of them."""
    return {
        "name": placement.deployment,
        **replicas_options(placement, args),
        "max_ongoing_requests": args.config.units[placement.key.unit].max_ongoing_requests,
        "max_surge_percent": _SURGE_PERCENT,
        "ray_actor_options": placement.actor_options(),
        "health_check_period_s": _HEALTH_CHECK_PERIOD_S,
        **group_options(args.config, placement),
    }


def replicas_options(placement: Placement, args: PipelineArgs) -> dict[str, Any]:
    """Give how many there are, or who decides that."""
    config = args.config
    if config.autoscaling is None:
        return {"num_replicas": placement.replicas}
    policy: dict[str, Any] | None = None
    if not args.policy_beside:
        arguments = policy_arguments(config, needed_profiles(config, Path(args.home)))
        arguments["deployment"] = placement.deployment
        policy = {"policy_function": DEPLOYMENT_POLICY, "policy_kwargs": arguments}
    return {"autoscaling_config": neutral(config, lowered(config, {}), placement.key, policy)}


def _ranker_pool(handle: "DeploymentHandle[Any]") -> RankerPool:
    async def call(payload: bytes) -> bytes:
        try:
            answer: bytes = await handle.score.remote(payload)
        except RayTaskError as error:
            if isinstance(error.cause, ServiceError):
                raise error.cause from error
            raise
        return answer

    return RankerPool(call, partial(has_replicas, handle))
