"""The mix over pools: missing replicas, and noise around the limit of a pool."""

import dataclasses
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from autoscale.config import make_policy
from autoscale.spec import Key
from tests.autoscale.policies.pipelines import CPU, GPU, INGRESS, POOLS
from tests.autoscale.policies.test_sized import NO_FORECAST, Cluster, config, replica_per_s

NEEDED_GPUS = 3


class Shortage(Cluster):
    """A cluster whose provider has no nodes with GPUs for some time."""

    has_gpus = False

    def step(self, loads: dict[Key, float], waiting: float = 0.0) -> dict[Key, int]:
        """Decide once. Until there are nodes, replicas on GPUs are requested now and always."""
        if not self.has_gpus:
            self.ready_s[GPU] = [self.now_s] * len(self.ready_s[GPU])
        return super().step(loads, waiting)


@pytest.fixture
def shortage() -> Shortage:
    """Return a cluster whose ranker is on CPUs, under a load that is cheaper to serve on GPUs."""
    bounds: dict[str, Any] = {"ranker@cpu": {"min_replicas": 1}}
    policy = make_policy(config("cheapest", bounds=bounds, saving=0.03, **NO_FORECAST), POOLS)
    return Shortage(policy, POOLS)


def capacity_per_s(cluster: Shortage) -> float:
    """Return the capacity of the replicas that are ready at the next decision."""
    return sum(
        replica_per_s(POOLS, key) * sum(start + cluster.startup_s <= cluster.now_s for start in starts)
        for key, starts in cluster.ready_s.items()
        if key != INGRESS and (key != GPU or cluster.has_gpus)
    )


def test_other_pools_get_the_load_if_requested_replicas_do_not_come(shortage: Shortage) -> None:
    load = (NEEDED_GPUS - 0.5) * replica_per_s(POOLS, GPU)
    for _ in range(150):
        asked = shortage.step({INGRESS: load, CPU: load})
    assert capacity_per_s(shortage) >= load
    assert shortage.last is not None
    assert asked[GPU] == 1, "one replica stays requested, so that the pool is used again when it has nodes"
    assert "replicas requested there do not come" in shortage.last.reasons[GPU]
    assert shortage.last.weights["ranker"] == {"cpu": 1.0, "gpu": 0.0}


def test_pool_is_used_again_once_its_replicas_come(shortage: Shortage) -> None:
    load = (NEEDED_GPUS - 0.5) * replica_per_s(POOLS, GPU)
    for _ in range(150):
        shortage.step({INGRESS: load, CPU: load})
    shortage.has_gpus = True
    for _ in range(60):
        asked = shortage.step({INGRESS: load, CPU: load})
        assert capacity_per_s(shortage) >= load
    assert asked == {INGRESS: asked[INGRESS], CPU: 1, GPU: NEEDED_GPUS}


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_around_the_limit_of_the_cheap_pool_does_not_empty_and_fill_the_other(seed: int) -> None:
    dear = POOLS.pools["gpu"].model_copy(update={"price_per_hour": 40.0})
    spec = dataclasses.replace(POOLS, pools={**POOLS.pools, "gpu": dear})
    most, random = 8, Random(seed)
    policy = make_policy(
        config("cheapest", bounds={"ranker@cpu": {"max_replicas": most}}, **NO_FORECAST), spec
    )
    cluster, limit, noise, gpus = Cluster(policy, spec), most * replica_per_s(POOLS, CPU), 0.0, list[int]()
    for _ in range(720):  # an hour
        noise = 0.9 * noise + random.gauss(0, 0.05)
        load = limit * (1 + noise)
        gpus.append(cluster.step({INGRESS: load, CPU: load / 2, GPU: load / 2})[GPU])
    assert max(gpus) == 1
    assert sum(before != after for before, after in pairwise(gpus)) <= 4
