"""Compose a pipeline's units, as Serve deployments or as one plain ASGI application."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application, Deployment

from services.autoscaling.serve_options import serve_options
from services.autoscaling.serve_policy import DEPLOYMENT_POLICY, policy_arguments
from services.autoscaling.spec import lowered, needed_profiles
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, RouterConfig, placements, sharded_runtime
from services.config.runtimes import resolved
from services.ingress.asgi import Receive, Scope, Send
from services.ingress.engine import Engine
from services.ingress.http import RankApp
from services.paths import home_directory
from services.ray_internals.fewest_calls import IMPORT_PATH as FEWEST_CALLS
from services.sharding.actors import group_options
from services.sharding.group import ShardGroup
from services.sharding.processes import ProcessLauncher
from services.stages.base import Stage
from services.units.ingress_replica import build_engine
from services.units.ingress_unit import IngressUnit
from services.units.ranker_unit import RankerUnit
from services.units.replica import closed_on_error, group_runtimes

IMPORT_PATH = "services.app:build"
_SURGE_PERCENT = 100
_HEALTH_CHECK_PERIOD_S = 2.0


class PipelineArgs(BaseModel):
    """The arguments that a Serve config passes to ``build``.

    Attributes:
        config: the pipeline.
        home: the data home.
        policy_beside: whether the Serve config names an application-level policy. If not, each deployment has its own
            policy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: PipelineConfig
    home: str
    policy_beside: bool = False


def build(args: PipelineArgs) -> Application:
    """Compose the pipeline's deployments, one per unit and pool. Serve imports this function by name."""
    home = args.home
    config = resolved(args.config, Path(home))
    dumped = config.model_dump(mode="json")
    ingress_name, ranker_name = config.ingress_unit, config.ranker_unit
    arguments: list[Any] = [dumped, home]
    user_config: dict[str, Any] | None = None
    if ranker_name != ingress_name:
        placed = placements(config, ranker_name)
        arguments.append({p.key.pool: _deployment(RankerUnit, p, args).bind(dumped, home) for p in placed})
        user_config = RouterConfig.from_placements(placed).model_dump()
    ingress = _deployment(serve.ingress()(IngressUnit), placements(config, ingress_name)[0], args)
    return ingress.options(user_config=user_config).bind(*arguments)


class StandaloneApp:
    """A one-unit pipeline as a plain ASGI application, for a server such as uvicorn instead of Serve.

    The pipeline is loaded at the first call. This is the server's start-up message, which comes before any request. The
    pipeline cannot be loaded earlier, because the engine's threads pass answers to the event loop, and a server imports
    its application before this loop runs.
    """

    def __init__(
        self, config_path: Path, home: Path | None = None, *, first_stages: Sequence[Stage] = ()
    ) -> None:
        """Serve the pipeline in a YAML file.

        Args:
            config_path: the YAML file.
            home: the data home. Default: ``home_directory()``.
            first_stages: stages that run before the pipeline's own.
        """
        self._home = home or home_directory()
        self._config = resolved(load_config(config_path), self._home)
        self._first_stages = first_stages
        self.rank_app: RankApp | None = None
        """The application, once it is loaded."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if self.rank_app is None:
            self.rank_app = RankApp(self._build_engine())
        await self.rank_app(scope, receive, send)

    def _build_engine(self) -> Engine:
        sharded = sharded_runtime(self._config, self._config.ingress_unit)
        with closed_on_error(ExitStack()) as closing:
            group = None if sharded is None else ShardGroup(sharded, ProcessLauncher())
            load = group_runtimes(group, closing)
            return build_engine(
                self._config,
                self._home,
                replica="standalone",
                first_stages=self._first_stages,
                load_runtime=load,
                closing=closing,
            )


def build_application(config_path: str | Path) -> StandaloneApp:
    """Return a one-unit pipeline as an ASGI application."""
    return StandaloneApp(Path(config_path))


def _deployment(unit_class: type, placement: Placement, args: PipelineArgs) -> Deployment:
    deployment = cast(Deployment, serve.deployment(unit_class))
    return deployment.options(**deployment_options(placement, args))


def deployment_options(placement: Placement, args: PipelineArgs) -> dict[str, Any]:
    """Return Serve's options for a unit in a pool: name, replicas, nodes, and resources per replica."""
    return {
        "name": placement.deployment,
        **replicas_options(placement, args),
        "max_ongoing_requests": args.config.units[placement.key.unit].max_ongoing_requests,
        "max_surge_percent": _SURGE_PERCENT,
        "ray_actor_options": placement.actor_options(),
        "health_check_period_s": _HEALTH_CHECK_PERIOD_S,
        **_router_options(placement, args),
        **group_options(args.config, placement),
    }


def _router_options(placement: Placement, args: PipelineArgs) -> dict[str, Any]:
    """Return Serve's options for the choice of a replica. HAProxy chooses that of the ingress."""
    if placement.key.unit == args.config.ingress_unit:
        return {}
    return {"request_router_config": {"request_router_class": FEWEST_CALLS}}


def replicas_options(placement: Placement, args: PipelineArgs) -> dict[str, Any]:
    """Return Serve's options for the number of replicas, or for the policy that decides it."""
    config = args.config
    if config.autoscaling is None:
        return {"num_replicas": placement.replicas}
    policy: dict[str, Any] | None = None
    if not args.policy_beside:
        arguments = policy_arguments(config, needed_profiles(config, Path(args.home)))
        arguments["deployment"] = placement.deployment
        policy = {"policy_function": DEPLOYMENT_POLICY, "policy_kwargs": arguments}
    return {"autoscaling_config": serve_options(config, lowered(config, {}), placement.key, policy)}
