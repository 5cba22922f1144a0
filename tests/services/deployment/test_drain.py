"""Draining a node in a real cluster of two nodes: its replica answers until another replica does."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import ray
from ray import serve
from ray._raylet import GcsClient, NodeID  # type: ignore[attr-defined]
from ray.cluster_utils import Cluster

from services.deployment.drain import leave
from services.ray_internals.cluster import find_own_node, replicas_on

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
_LIMIT_S = 60.0


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 1}, graceful_shutdown_wait_loop_s=0.1)
class Echo:
    """Returns the number that it receives."""

    async def __call__(self, asked: int) -> int:
        await asyncio.sleep(0.05)
        return asked


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=0, object_store_memory=80 * 2**20, include_dashboard=False)
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
        ray.init(address=cluster.address, log_to_driver=False)
        try:
            yield cluster
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def test_replica_moves_before_its_node_stops_and_no_request_is_lost(cluster: Cluster) -> None:
    serve.start(proxy_location="Disabled")
    handle: Any = serve.run(cast(Any, Echo).bind(), route_prefix=None)
    gcs = GcsClient(address=cluster.address)
    assert find_own_node(gcs).hex() in {each["NodeID"] for each in ray.nodes()}  # type: ignore[no-untyped-call]
    workers = [NodeID.from_hex(node.node_id) for node in cluster.worker_nodes]
    (before,) = [node for node in workers if asyncio.run(replicas_on(gcs, node))]
    (after,) = [node for node in workers if node != before]
    stop, answers = threading.Event(), list[int]()

    def ask() -> None:
        while not stop.is_set():
            answers.append(handle.remote(len(answers)).result(timeout_s=_LIMIT_S))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert asyncio.run(leave(gcs, before, _LIMIT_S))
        assert asyncio.run(replicas_on(gcs, after))
    finally:
        asked = len(answers)
        stop.set()
        asking.join(_LIMIT_S)
    assert asked > 0
    assert answers == list(range(len(answers)))
