"""The choice of a replica by calls in flight."""

import asyncio
from collections import Counter
from typing import Any

from ray.serve._private.common import DeploymentHandleSource, DeploymentID
from ray.serve.request_router import ReplicaID

from services.app import PipelineArgs, deployment_options
from services.config.loading import validated
from services.config.placement import all_placements
from services.ray_internals.fewest_calls import IMPORT_PATH, FewestCallsRouter
from tests.pipelines import SPLIT, merged, pipeline_document

SCORER = DeploymentID("scorer", "small")
FULL = 100


class Replica:
    """An idle replica as Serve's router sees it."""

    max_ongoing_requests = FULL
    node_id, availability_zone, actor_id = "node", None, None
    multiplexed_model_ids: frozenset[str] = frozenset()

    def __init__(self, name: str) -> None:
        self.replica_id = ReplicaID(name, SCORER)

    async def get_queue_len(self, *, deadline_s: float) -> int:
        """Answer a probe."""
        return 0


class Calls:
    """A router with two replicas, and the calls that were sent through it. For one event loop."""

    def __init__(self) -> None:
        make: Any = FewestCallsRouter
        self.router = make(
            deployment_id=SCORER,
            handle_source=DeploymentHandleSource.REPLICA,
            self_actor_id="actor",
            use_replica_queue_len_cache=True,
        )
        self.router.initialize_state()
        self.router.update_replicas([Replica("a"), Replica("b")])
        self.sent: list[ReplicaID] = []

    async def send(self, count: int) -> None:
        """Send calls, each to the replica that the router prefers."""
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # the probes of new replicas
        for _ in range(count):
            (pair,) = await self.router.choose_replicas(list(self.router.curr_replicas.values()))
            chosen = await self.router._select_from_candidate_replicas(pair, 0)
            self.router.on_send_request(chosen.replica_id)
            self.sent.append(chosen.replica_id)

    def answer(self, name: str) -> None:
        """Let a replica answer all its calls, with the callbacks that Serve makes with gRPC."""
        replica_id = ReplicaID(name, SCORER)
        for at_arrival in range(1, self.sent.count(replica_id) + 1):
            self.router.on_request_completed(replica_id, "id")
            self.router.on_new_queue_len_info(replica_id, at_arrival)
            self.router.decrement_queue_len_cache(replica_id)
        self.sent = [each for each in self.sent if each != replica_id]

    def in_flight(self) -> Counter[str]:
        """Return the calls in flight for each replica."""
        return Counter(each.unique_id for each in self.sent)


def test_replica_that_has_answered_everything_gets_the_next_calls() -> None:
    async def scenario() -> None:
        calls = Calls()
        await calls.send(20)
        assert calls.in_flight() == {"a": 10, "b": 10}
        calls.answer("a")
        await calls.send(9)
        assert calls.in_flight() == {"a": 9, "b": 10}

    asyncio.run(scenario())


def test_cancelled_calls_are_not_counted_any_more() -> None:
    async def scenario() -> None:
        calls = Calls()
        await calls.send(10)
        for _ in range(5):
            calls.router.on_request_completed(ReplicaID("a", SCORER), "id")  # the only callback in this case
        await calls.send(5)
        assert calls.in_flight() == {"a": 10, "b": 5}

    asyncio.run(scenario())


def test_full_replica_gets_no_calls() -> None:
    async def scenario() -> None:
        calls = Calls()
        await calls.send(2)
        calls.router.on_new_queue_len_info(ReplicaID("a", SCORER), FULL)
        await calls.send(30)
        assert calls.in_flight() == {"a": 1, "b": 31}

    asyncio.run(scenario())


def test_only_units_behind_the_ingress_choose_by_calls() -> None:
    config = validated(merged(pipeline_document(), SPLIT), "test")
    args = PipelineArgs(config=config, home="/nowhere")
    main, scorer = (deployment_options(placement, args) for placement in all_placements(config))
    assert "request_router_config" not in main
    assert scorer["request_router_config"] == {"request_router_class": IMPORT_PATH}
