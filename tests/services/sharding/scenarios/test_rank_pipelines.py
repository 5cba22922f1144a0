"""Pipelines of ranks: scores equal one process's scores, for all batches and after a failed batch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.base import Architecture
from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.torch import TorchConfig
from models.signature import Inputs
from services.errors import ShardLost
from tests.models.text.crossencoders import LAYERS, WORDS, bert, tokens
from tests.models.worlds import make_pooled
from tests.services.sharding.running_group import TIMEOUT_S, RunningGroup, deep_ranker, written

TOLERANCE = 1e-4
REQUESTS = st.lists(st.tuples(st.integers(1, 150), st.integers(0, 8)), min_size=1, max_size=6)
PAIRS = st.tuples(st.integers(1, 9), st.integers(1, 20))


def assert_same(result: Inputs, expected: Inputs) -> None:
    """Check that scores are equal except for rounding."""
    assert result["score"].shape == expected["score"].shape
    most = np.abs(expected["score"]).max()
    np.testing.assert_allclose(result["score"], expected["score"], rtol=TOLERANCE, atol=TOLERANCE * most)


@pytest.fixture(
    scope="module",
    params=[1, 2, pytest.param(4, marks=pytest.mark.slow)],
    ids=lambda shards: f"{shards} ranks",
)
def running(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[RunningGroup]:
    config = AccelerateConfig(kind="accelerate", shards=request.param, micro_batches=3, timeout_s=TIMEOUT_S)
    running = RunningGroup(tmp_path_factory.mktemp("pipelines"), request.param, config, deep_ranker(LAYERS))
    yield running
    running.group.close()


@settings(max_examples=20)
@given(shapes=REQUESTS)
def test_scores_of_a_ranker_equal_those_of_one_process(
    running: RunningGroup, shapes: list[tuple[int, int]]
) -> None:
    inputs = running.inputs(*shapes)
    assert_same(running.sharded.run(inputs), running.whole.run(inputs))


@pytest.fixture(
    scope="module",
    params=[
        {},
        pytest.param({"kind": "roberta", "pad_token_id": 1, "num_labels": 2}, marks=pytest.mark.slow),
        pytest.param({"kind": "distilbert"}, marks=pytest.mark.slow),
    ],
    ids=["bert", "roberta", "distilbert"],
)
def text_model(
    running: RunningGroup, request: pytest.FixtureRequest
) -> tuple[Architecture, Runtime, Runtime]:
    """Return a module, its runtime in one process and its runtime over the ranks."""
    module = bert(**request.param)
    name = request.param.get("kind", "bert")
    artifact = written(running.root, module, name)
    whole = load_runtime(running.root / name, artifact, TorchConfig())
    return module, whole, running.group.load_runtime(running.root / name, artifact, running.config)


@settings(max_examples=10)
@given(shape=PAIRS)
def test_scores_of_a_cross_encoder_equal_those_of_one_process(
    text_model: tuple[Architecture, Runtime, Runtime], shape: tuple[int, int]
) -> None:
    module, whole, piped = text_model
    inputs = tokens(module, *shape)
    assert_same(piped.run(inputs), whole.run(inputs))


def test_the_group_survives_a_batch_that_fails_in_one_rank(
    running: RunningGroup, text_model: tuple[Architecture, Runtime, Runtime]
) -> None:
    """A token outside the vocabulary fails in rank 0, which has the embeddings, while the other ranks wait for it."""
    module, _, piped = text_model
    inputs = tokens(module, 8, 16)  # enough rows for several micro-batches
    expected = piped.run(inputs)
    for row in (0, 7):  # in the first micro-batch, and in the last
        strange = {**inputs, "input_ids": inputs["input_ids"].copy()}
        strange["input_ids"][row, 0] = WORDS
        with pytest.raises(RuntimeFailure):
            piped.run(strange)
        running.group.check()
        np.testing.assert_array_equal(piped.run(inputs)["score"], expected["score"])


@pytest.mark.parametrize("lacking", ["item_attributes", "history_mask", "past_attributes"])
def test_the_group_survives_a_missing_input(running: RunningGroup, lacking: str) -> None:
    inputs = running.inputs((20, 3), (7, 2))
    expected = running.sharded.run(inputs)
    with pytest.raises(RuntimeFailure):
        running.sharded.run({name: values for name, values in inputs.items() if name != lacking})
    running.group.check()
    np.testing.assert_array_equal(running.sharded.run(inputs)["score"], expected["score"])


def test_half_precision_gives_nearly_the_same_scores(running: RunningGroup) -> None:
    config = AccelerateConfig.model_validate({**running.config.model_dump(), "dtype": "bf16"})
    half = running.group.load_runtime(running.root / "ranker", running.artifact, config)
    inputs = running.inputs((20, 3), (30, 5))
    expected = running.whole.run(inputs)["score"]
    np.testing.assert_allclose(half.run(inputs)["score"], expected, atol=0.1 * np.abs(expected).max())


def test_refuses_models_with_no_layers_or_too_few(running: RunningGroup) -> None:
    if running.config.shards == 1:
        pytest.skip("one process can load any model")
    for name, module, message in (
        ("pooled", make_pooled(), "no layers to divide among the ranks of a pipeline"),
        ("short", deep_ranker(1), "must be at most the number of layers, 1, got"),
    ):
        artifact = written(running.root, module, name)
        with pytest.raises(RuntimeFailure, match=message):
            running.group.load_runtime(running.root / name, artifact, running.config)
    running.group.check()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[RunningGroup]:
    config = AccelerateConfig(kind="accelerate", shards=2, timeout_s=TIMEOUT_S)
    pair = RunningGroup(tmp_path, 2, config, deep_ranker(LAYERS))
    yield pair
    pair.group.close()


def test_batches_and_the_check_fail_after_a_rank_is_killed(pair: RunningGroup) -> None:
    pair.check_loss_of_a_killed_rank()


def test_batches_fail_within_their_limit_if_a_rank_is_stopped(pair: RunningGroup) -> None:
    inputs = pair.inputs((5, 1))
    pair.sharded.run(inputs)
    pair.stop_rank(1)
    for _ in range(2):
        with pytest.raises(ShardLost):
            pair.sharded.run(inputs)
    pair.group.close()
    assert not pair.processes.started[0].is_alive()
