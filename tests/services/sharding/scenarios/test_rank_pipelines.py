"""Pipelines of ranks: cross-encoders score like in one process, and failed batches and loads change nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.base import Architecture
from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.torch import TorchConfig
from tests.models.text.crossencoders import WORDS, bert, tokens
from tests.models.worlds import make_pooled, make_reranker
from tests.services.sharding.running_group import RunningGroup, assert_same, deep_ranker, written

PAIRS = st.tuples(st.integers(1, 9), st.integers(1, 20))


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
    pipeline: RunningGroup, request: pytest.FixtureRequest
) -> tuple[Architecture, Runtime, Runtime]:
    """Return a module, its runtime in one process and its runtime over the ranks."""
    module = bert(**request.param)
    name = request.param.get("kind", "bert")
    artifact = written(pipeline.root, module, name)
    whole = load_runtime(pipeline.root / name, artifact, TorchConfig())
    return module, whole, pipeline.group.load_runtime(pipeline.root / name, artifact, pipeline.config)


@settings(max_examples=10)
@given(shape=PAIRS)
def test_scores_of_a_cross_encoder_equal_those_of_one_process(
    text_model: tuple[Architecture, Runtime, Runtime], shape: tuple[int, int]
) -> None:
    module, whole, piped = text_model
    inputs = tokens(module, *shape)
    assert_same(piped.run(inputs), whole.run(inputs))


def test_the_group_survives_a_batch_that_fails_in_one_rank(
    pipeline: RunningGroup, text_model: tuple[Architecture, Runtime, Runtime]
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
        pipeline.group.check()
        np.testing.assert_array_equal(piped.run(inputs)["score"], expected["score"])


@pytest.mark.parametrize("lacking", ["item_attributes", "history_rating", "past_attributes"])
def test_the_group_survives_a_missing_input(pipeline: RunningGroup, lacking: str) -> None:
    inputs = pipeline.inputs((20, 3), (7, 2))
    expected = pipeline.sharded.run(inputs)
    with pytest.raises(RuntimeFailure):
        pipeline.sharded.run({name: values for name, values in inputs.items() if name != lacking})
    pipeline.group.check()
    np.testing.assert_array_equal(pipeline.sharded.run(inputs)["score"], expected["score"])


def test_refuses_models_with_no_layers_or_too_few(pipeline: RunningGroup) -> None:
    if pipeline.config.shards == 1:
        pytest.skip("one process can load any model")
    for name, module, message in (
        ("pooled", make_pooled(), "no layers to divide among the ranks of a pipeline"),
        ("listwise", make_reranker(), "no layers to divide among the ranks of a pipeline"),
        ("short", deep_ranker(1), "must be at most the number of layers, 1, got"),
    ):
        artifact = written(pipeline.root, module, name)
        with pytest.raises(RuntimeFailure, match=message):
            pipeline.group.load_runtime(pipeline.root / name, artifact, pipeline.config)
    pipeline.group.check()
