"""Shard groups in Serve: the units that have one, their resources, and the error if a group does not fit."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.config.placement import placements, sharded_runtime
from services.errors import ConfigError
from services.sharding.actors import Resources, bundles, group_options, unplaceable
from tests.pipelines import SPLIT, WITH_RERANKER, merged
from tests.services.config.test_placement import POOLS, config_of

DEEPSPEED: dict[str, Any] = {"kind": "deepspeed", "shards": 3, "placement": "SPREAD"}
SHARDED: dict[str, Any] = {"models": {"ranker": {"runtime": DEEPSPEED}}}
AMOUNTS = st.fixed_dictionaries({"CPU": st.integers(0, 6), "GPU": st.integers(0, 2)})


def test_only_the_unit_with_the_sharded_model_is_a_group() -> None:
    config = config_of(SPLIT, SHARDED)
    assert sharded_runtime(config, "main") is None
    assert group_options(config, placements(config, "main")[0]) == {}
    (scorer,) = placements(config, "scorer")
    options = group_options(config, scorer)
    assert options["placement_group_bundles"] == [{"CPU": scorer.cpus}] * 3
    assert options["placement_group_strategy"] == "SPREAD"


def test_every_rank_requests_the_resources_of_a_replica_in_its_pool() -> None:
    config = config_of(SPLIT, POOLS, SHARDED)
    gpu, cpu = placements(config, "scorer")
    assert bundles(config, gpu) == [{"CPU": 1, "GPU": 0.5, "accelerator_type:H100": 0.001}] * 3
    assert group_options(config, cpu)["placement_group_bundle_label_selector"] == [{"kind": "cpu"}]


@pytest.mark.parametrize("option", [{"shards": 2}, {"transport": "gloo"}], ids=["shards", "transport"])
def test_refuses_models_of_one_unit_that_need_different_groups(option: dict[str, Any]) -> None:
    two = {"models": {"reranker": {"runtime": {**DEEPSPEED, **option}}}}
    config = config_of(merged(WITH_RERANKER, merged(SHARDED, two)))
    with pytest.raises(ConfigError, match="ranker and reranker share a shard group"):
        sharded_runtime(config, "main")


def test_names_the_missing_resource() -> None:
    nodes = [{"CPU": 8.0, "memory": 1e9}, {"CPU": 8.0}]
    assert unplaceable([{"CPU": 5}, {"CPU": 5}], nodes) is None
    assert unplaceable([{"CPU": 5}] * 3, nodes) == "3 ranks need 5 CPU each, but the nodes have 8, 8"
    assert unplaceable([{"CPU": 1, "GPU": 1}], nodes) == "1 ranks need 1 GPU each, but the nodes have 0, 0"
    assert unplaceable([{"CPU": 1}], []) == "1 ranks need 1 CPU each, but the nodes have none"


@settings(max_examples=50)
@given(bundle=AMOUNTS, count=st.integers(1, 4), nodes=st.lists(AMOUNTS, max_size=3))
def test_result_does_not_depend_on_the_order_of_the_nodes(
    bundle: Resources, count: int, nodes: list[Resources]
) -> None:
    fits = {unplaceable([bundle] * count, list(order)) is None for order in permutations(nodes)}
    each = [min([node[n] // amount for n, amount in bundle.items() if amount] or [count]) for node in nodes]
    assert fits == {sum(each) >= count}
