"""Routing: calls are split over pools in the same way as by the router of an ingress."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.simulator.cluster.nodes import NodeChange, Replica
from autoscale.simulator.event_engine.engine import EventEngine
from autoscale.simulator.event_engine.routing import choose_key
from autoscale.simulator.trace_feed import Feed
from services.units.router import PoolRouter, RankerPool
from tests.autoscale.policies.pipelines import POOLS
from tests.autoscale.simulator.specs import poisson

RANKER = 1
WEIGHTS = st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0])


def simulated(weights: dict[str, float], calls: list[int]) -> list[str]:
    """Return each call's pool in the event engine."""
    engine = EventEngine(POOLS, Feed(poisson(1.0, 5.0), 0.0, None), 0)
    keys = list(POOLS.keys())
    for number, key in enumerate(keys):
        engine.apply(NodeChange("opened", Replica(number, key)))
    engine.weigh("ranker", weights)
    table = engine.state.table()
    return [keys[choose_key(int(table.ctypes.data), RANKER, candidates)].pool for candidates in calls]


async def served(weights: dict[str, float], calls: list[int]) -> list[str]:
    """Return each call's pool in the service."""
    asked: list[str] = []

    def pool(name: str) -> RankerPool:
        async def call(payload: bytes) -> bytes:
            asked.append(name)
            return payload

        return RankerPool(call)

    router = PoolRouter({name: pool(name) for name in weights})
    router.reweigh(weights)
    for candidates in calls:
        await router(b"", candidates)
    return asked


@settings(max_examples=50, deadline=None)
@given(WEIGHTS, WEIGHTS, st.lists(st.integers(1, 2000), max_size=40))
def test_split_of_calls_over_pools_equals_that_of_the_service(
    cpu: float, gpu: float, calls: list[int]
) -> None:
    weights = {"cpu": cpu, "gpu": gpu}
    assert simulated(weights, calls) == asyncio.run(served(weights, calls))
