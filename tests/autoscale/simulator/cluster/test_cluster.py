from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.pools import SpotConfig
from autoscale.simulator.cluster.cluster import Cluster
from autoscale.simulator.options import Failure
from tests.autoscale.simulator.specs import CPU, RANKER, one_unit


def test_replicas_are_packed_and_the_emptiest_node_is_drained() -> None:
    cluster = Cluster(one_unit(6), 0.0)
    assert sorted(len(node.replicas) for node in cluster.nodes["cpu"]) == [2, 4]
    cluster.happens(0.0)
    cluster.set_target(10.0, RANKER, 4)
    draining = [change.replica for change in cluster.changes() if change.did == "closed"]
    assert {len(replica.node.replicas) for replica in draining if replica.node is not None} == {2}
    cluster.happens(45.0)
    for replica in draining:
        assert cluster.may_go(replica)
        cluster.drained(replica)
    cluster.happens(105.0)
    assert [len(node.replicas) for node in cluster.nodes["cpu"]] == [4]
    assert cluster.paid["cpu"].seconds == 2 * 105


def test_replicas_that_are_not_ready_are_removed_first() -> None:
    cluster = Cluster(one_unit(3), 0.0)
    cluster.happens(0.0)
    cluster.set_target(1.0, RANKER, 6)
    cluster.set_target(2.0, RANKER, 3)
    assert [change.did for change in cluster.changes()] == ["opened"] * 3 + ["gone"] * 3
    assert cluster.ready[RANKER].count == 3


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 200), st.integers(0, 30)), max_size=12),
    st.lists(st.floats(0, 1000), max_size=3),
    st.integers(0, 5),
)
def test_nodes_are_never_overfull_and_replicas_match_the_target(
    steps: list[tuple[float, int]], failures: list[float], seed: int
) -> None:
    pool = CPU.model_copy(update={"max_nodes": 5, "spot": SpotConfig(interruptions_per_hour=10)})
    spec = replace(one_unit(2), pools={"cpu": pool})
    lost = tuple(Failure(at_s=at_s, pool="cpu") for at_s in failures)
    cluster, now_s = Cluster(spec, 0.0, seed=seed, failures=lost), 0.0
    for elapsed_s, target in steps:
        now_s += elapsed_s
        cluster.happens(now_s)
        cluster.set_target(now_s, RANKER, target)
        assert all(0 <= len(node.replicas) <= 4 for node in cluster.nodes["cpu"])
        assert len(cluster.nodes["cpu"]) <= 5
        counting = [replica for replica in cluster.replicas[RANKER] if replica.counts]
        assert len(counting) == target
        assert cluster.ready[RANKER].count == sum(replica.is_open for replica in cluster.replicas[RANKER])
        held = [replica for node in cluster.nodes["cpu"] for replica in node.replicas]
        assert cluster.existing[RANKER].count == len(held)
