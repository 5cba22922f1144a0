"""Lanes: each key is in one lane, and a unit's work is split by its ready replicas."""

from autoscale.policies.lanes import lanes_of, weights_of
from autoscale.policies.mix import PoolOption
from tests.autoscale.policies.pipelines import POOLS, seen

OPTIONS = [PoolOption(100.0, 1.0, 0, 10), PoolOption(300.0, 2.0, 0, 10)]


def test_each_key_is_in_one_lane_and_the_ingress_is_first() -> None:
    for over_pools, names in ((True, ["main", "ranker"]), (False, [str(key) for key in POOLS.keys()])):
        lanes = lanes_of(POOLS, over_pools=over_pools)
        assert [lane.name for lane in lanes] == names
        assert [key for lane in lanes for key in lane.keys] == list(POOLS.keys())


def test_work_is_split_by_ready_replicas_that_stay() -> None:
    ranker = lanes_of(POOLS, over_pools=True)[1]
    cpu, gpu = (key.pool for key in ranker.keys)
    here = [seen(3), seen(1)]
    assert weights_of(ranker, (3, 1), here, OPTIONS) == {"ranker": {cpu: 0.5, gpu: 0.5}}
    assert weights_of(ranker, (0, 1), here, OPTIONS) == {"ranker": {cpu: 0.0, gpu: 1.0}}
    none_ready = [seen(0), seen(0)]
    assert weights_of(ranker, (1, 0), none_ready, OPTIONS) == {"ranker": {cpu: 1.0, gpu: 0.0}}
    assert weights_of(ranker, (0, 0), none_ready, OPTIONS) == {}
