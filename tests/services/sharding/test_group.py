"""Shard groups of real processes, over both transports and with several models: scores equal one process's scores."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.kinds.torch import TorchConfig
from services.sharding.shared_memory import is_supported
from tests.models.worlds import make_pooled
from tests.services.sharding.running_group import TIMEOUT_S, RunningGroup, four_headed, written

TOLERANCE = 1e-4
SHAPES = st.lists(st.tuples(st.integers(1, 150), st.integers(0, 8)), min_size=1, max_size=6)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((1, None), id="1 rank"),
        pytest.param((2, None), id="2 ranks"),
        pytest.param((2, "gloo"), id="2 ranks, gloo"),
        pytest.param((4, None), id="4 ranks", marks=pytest.mark.slow),
    ],
)
def running(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[RunningGroup]:
    shards, transport = request.param
    config = DeepSpeedConfig(kind="deepspeed", shards=shards, timeout_s=TIMEOUT_S, transport=transport)
    running = RunningGroup(tmp_path_factory.mktemp("shards"), shards, config)
    shares_memory = shards > 1 and transport is None and is_supported()
    assert running.group.transport == ("shared_memory" if shares_memory else "gloo")
    yield running
    running.group.close()


@settings(max_examples=20)
@given(shapes=SHAPES)
def test_scores_equal_those_of_one_process(running: RunningGroup, shapes: list[tuple[int, int]]) -> None:
    inputs = running.inputs(*shapes)
    scores, expected = running.sharded.run(inputs)["score"], running.whole.run(inputs)["score"]
    assert scores.shape == expected.shape
    np.testing.assert_allclose(scores, expected, rtol=TOLERANCE, atol=TOLERANCE * np.abs(expected).max())


def test_loads_a_second_model_next_to_the_first_and_drops_it(running: RunningGroup) -> None:
    inputs = running.inputs((20, 3), (7, 0))
    other = written(running.root, four_headed(seed=5), "other")
    second = running.group.load_runtime(running.root / "other", other, running.config)
    first_scores, second_scores = running.sharded.run(inputs)["score"], second.run(inputs)["score"]
    whole = load_runtime(running.root / "other", other, TorchConfig())
    np.testing.assert_allclose(second_scores, whole.run(inputs)["score"], rtol=TOLERANCE, atol=1e-3)
    assert np.abs(first_scores - second_scores).max() > 0.1
    del second
    running.group.check()
    np.testing.assert_array_equal(running.sharded.run(inputs)["score"], first_scores)


def test_the_group_survives_a_batch_that_fails_in_all_ranks(running: RunningGroup) -> None:
    inputs = running.inputs((20, 3))
    expected = running.sharded.run(inputs)["score"]
    incomplete = dict(inputs)
    incomplete.pop("item_attributes")
    with pytest.raises(RuntimeFailure, match="item_attributes"):
        running.sharded.run(incomplete)
    np.testing.assert_array_equal(running.sharded.run(inputs)["score"], expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [("bf16", 0.1), ("fp16", 0.02)])
def test_half_precision_gives_nearly_the_same_scores(
    running: RunningGroup, dtype: str, tolerance: float
) -> None:
    inputs = running.inputs((20, 3), (30, 5))
    config = runtime_config(**{**running.config.model_dump(), "dtype": dtype})
    half = running.group.load_runtime(running.root / "ranker", running.artifact, config)
    expected = running.whole.run(inputs)["score"]
    np.testing.assert_allclose(half.run(inputs)["score"], expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dtype": "fp16", "quantization": "int8"}, "quantization needs a CUDA device"),
        ({"cuda_graph": True}, "CUDA graphs need a CUDA device"),
    ],
    ids=["quantization", "graph"],
)
def test_refuses_options_that_need_cuda_without_cuda(
    running: RunningGroup, option: dict[str, Any], message: str
) -> None:
    if running.config.shards > 1:
        pytest.skip("tested with one rank only")
    config = runtime_config(kind="deepspeed", shards=1, **option)
    with pytest.raises(RuntimeFailure, match=message):
        running.group.load_runtime(running.root / "ranker", running.artifact, config)


def test_refuses_a_model_that_cannot_be_split_and_keeps_working(running: RunningGroup) -> None:
    pooled = written(running.root, make_pooled(), "pooled")
    with pytest.raises(RuntimeFailure, match="no transformer layers"):
        running.group.load_runtime(running.root / "pooled", pooled, running.config)
    running.group.check()
    assert running.sharded.run(running.inputs((5, 1)))["score"].size == 5
