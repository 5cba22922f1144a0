"""Pools with different speeds behind one router on a real Serve. test_routing.py runs it as a separate process.

    python -m tests.services.routing
It prints a JSON document of the candidates that each pool scored, for each change that was made during the calls.
"""

import asyncio
import json
import os
from typing import Any, cast

from ray import serve
from ray.serve import Application, Deployment
from ray.serve.context import _get_global_client
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ServeDeploySchema

from services.config.pipeline import PipelineConfig
from services.config.placement import RouterConfig
from services.deployment.local_cluster import local_cluster
from services.units.ingress_unit import ranker_pool
from services.units.router import PoolRouter
from tests.pipelines import pipeline_document

CALLS, AT_ONCE, CANDIDATES = 120, 6, 100
SLOW_S, FAST_S = 0.02, 0.002
NONE = {"min_replicas": 0, "initial_replicas": 0, "max_replicas": 1}


class Scorer:
    """Takes some time for a call, and answers with its pool's name."""

    def __init__(self, pool: str, seconds: float) -> None:
        """Wait ``seconds`` for each call."""
        self._pool, self._seconds = pool, seconds

    async def score(self, payload: bytes) -> bytes:
        """Wait and answer."""
        await asyncio.sleep(self._seconds)
        return self._pool.encode()


class Caller:
    """An ingress without HTTP that calls through the router."""

    def __init__(self, pools: "dict[str, DeploymentHandle[Any]]") -> None:
        """Call these pools."""
        self._router = PoolRouter({name: ranker_pool(handle) for name, handle in pools.items()})

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Set other weights."""
        self._router.reweigh(RouterConfig.model_validate(user_config).weights)

    async def scored(self) -> dict[str, int]:
        """Make the calls, some concurrently. Return each pool's candidates, and this process's id."""
        scored: dict[str, int] = {"process": os.getpid()}
        slots = asyncio.Semaphore(AT_ONCE)

        async def call() -> None:
            async with slots:
                pool = (await self._router(b"x", CANDIDATES)).decode()
                scored[pool] = scored.get(pool, 0) + CANDIDATES

        await asyncio.gather(*[call() for _ in range(CALLS)])
        return scored


def build(_arguments: dict[str, Any]) -> Application:
    """Compose the caller and its pools. Serve imports this function by name."""
    fast = _deployment(Scorer, "scorer@fast").bind("fast", FAST_S)
    slow = _deployment(Scorer, "scorer@slow").bind("slow", SLOW_S)
    none = _deployment(Scorer, "scorer@none").bind("none", FAST_S)
    return _deployment(Caller, "caller").bind({"fast": fast, "slow": slow, "none": none})


def _deployment(made: type, name: str) -> Deployment:
    options = {"num_cpus": 0.1}
    deployment = cast(Deployment, serve.deployment(made))
    return deployment.options(name=name, ray_actor_options=options, max_ongoing_requests=100)


def main() -> None:
    """Run every scenario. Each is a change in place, which restarts nothing."""
    report: dict[str, Any] = {}
    with local_cluster(PipelineConfig.model_validate(pipeline_document())):
        report["three to one"] = scored({"fast": 3, "slow": 1})
        report["one to three"] = scored({"fast": 1, "slow": 3})
        report["slow alone"] = scored({"fast": 0, "slow": 1})
        report["with one that has no replica"] = scored({"fast": 1, "slow": 1, "none": 2})
    print(json.dumps(report))


def scored(weights: dict[str, float]) -> dict[str, int]:
    """Deploy with these weights and make the calls."""
    application = {
        "name": "routing",
        "route_prefix": "/",
        "import_path": "tests.services.routing:build",
        "args": {"any": "thing"},
        "deployments": [
            {"name": "caller", "user_config": {"weights": weights}},
            {"name": "scorer@none", "autoscaling_config": NONE},
        ],
    }
    client = _get_global_client()
    assert client is not None
    client.deploy_apps(ServeDeploySchema.model_validate({"applications": [application]}), _blocking=True)
    handle: DeploymentHandle[Any] = serve.get_deployment_handle("caller", "routing")
    return asyncio.run(_answer(handle))


async def _answer(handle: "DeploymentHandle[Any]") -> dict[str, int]:
    answer: dict[str, int] = await handle.scored.remote()
    return answer


if __name__ == "__main__":
    main()
