"""Inputs are checked against the signature, and padding changes no score."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import RuntimeFailure
from models.ragged import offsets_of
from models.runtimes.openvino.shapes import InputShapes, bucket
from models.signature import Inputs, InputSpec, PairSpec, Signature


def spec(name: str, source: str, dtype: Any = "float32", shape: tuple[int, ...] = ()) -> InputSpec:
    return InputSpec(name=name, source=source, dtype=dtype, shape=shape)


def padded_by(shapes: InputShapes, inputs: Inputs) -> Inputs:
    sizes = shapes.sizes(inputs)
    return shapes.padded(inputs, sizes, shapes.bucketed(sizes))


RAGGED = Signature(
    inputs=(
        spec("value", "item.value"),
        spec("bias", "user.bias", shape=(2,)),
        spec("of", "batch.request_of", "int64"),
        spec("offsets", "batch.offsets", "int64"),
        spec("past", "user.past"),
        spec("past_value", "item.value@user.past"),
        spec("past_offsets", "user.past:offsets", "int64"),
    )
)
LENGTHS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=12)


def ragged_inputs(lengths: list[tuple[int, int]]) -> Inputs:
    random = np.random.default_rng(0)
    offsets, past = (offsets_of(np.array(column, dtype=np.int64)) for column in zip(*lengths, strict=True))
    return {
        "value": random.random(offsets[-1], dtype=np.float32),
        "bias": random.random((len(lengths), 2), dtype=np.float32),
        "of": np.repeat(np.arange(len(lengths)), np.diff(offsets)),
        "offsets": offsets,
        "past": random.random(past[-1], dtype=np.float32),
        "past_value": random.random(past[-1], dtype=np.float32),
        "past_offsets": past,
    }


def ragged_model(inputs: Inputs) -> np.ndarray:
    """Score candidates with sums over their whole request, so that padding in a request would change its scores."""
    of, count = inputs["of"], len(inputs["bias"])
    total = np.bincount(of, inputs["value"], count)
    sizes = np.diff(inputs["offsets"])
    past = [
        inputs["past"][a:b].sum()
        for a, b in zip(inputs["past_offsets"], inputs["past_offsets"][1:], strict=False)
    ]
    return np.asarray(inputs["value"] + (total + sizes + np.array(past) + inputs["bias"].sum(axis=1))[of])


@given(LENGTHS)
def test_padding_of_ragged_inputs_belongs_to_added_requests(lengths: list[tuple[int, int]]) -> None:
    shapes, inputs = InputShapes(RAGGED), ragged_inputs(lengths)
    sizes = shapes.sizes(inputs)
    padded = shapes.padded(inputs, sizes, shapes.bucketed(sizes))
    shapes.sizes(padded)  # it fits the signature
    assert len(padded["value"]) == bucket(sizes["candidates"])
    assert padded["offsets"][-1] == len(padded["value"])
    assert padded["past_offsets"][-1] == len(padded["past"])
    np.testing.assert_allclose(ragged_model(padded)[: sizes["candidates"]], ragged_model(inputs), rtol=1e-5)


def test_inputs_of_a_bucket_are_not_copied() -> None:
    shapes, inputs = InputShapes(RAGGED), ragged_inputs([(10, 8), (10, 8)])
    assert padded_by(shapes, inputs) is inputs


@given(st.integers(0, 100_000))
def test_bucket_is_the_least_length_of_its_kind(size: int) -> None:
    assert size <= bucket(size) <= max(1, 1.25 * size)
    assert bucket(bucket(size)) == bucket(size)


def test_there_are_few_buckets() -> None:
    assert len({bucket(size) for size in range(4097)}) == 44


CHUNKS = Signature(
    layout="chunks",
    inputs=(
        spec("value", "item.value", shape=(2,)),
        spec("chunk_of", "batch.chunk_of", "int64"),
        spec("mask", "batch.mask", "bool"),
        spec("past", "item.value@user.past:list"),
        spec("past_mask", "user.past:mask", "bool"),
        spec("other", "user.other:list"),
        spec("hour", "context.hour"),
    ),
)


def test_chunks_are_padded_with_masked_slots() -> None:
    shapes = InputShapes(CHUNKS)
    inputs: Inputs = {
        "value": np.ones((9, 30, 2), np.float32),
        "chunk_of": np.arange(9),
        "mask": np.ones((9, 30), np.bool_),
        "past": np.ones((9, 11), np.float32),
        "past_mask": np.ones((9, 11), np.bool_),
        "other": np.ones((9, 0), np.float32),
        "hour": np.ones(9, np.float32),
    }
    sizes = shapes.sizes(inputs)
    padded = shapes.padded(inputs, sizes, shapes.bucketed(sizes))
    assert {name: values.shape for name, values in padded.items()} == {
        "value": (10, 32, 2),
        "chunk_of": (10,),
        "mask": (10, 32),
        "past": (10, 12),
        "past_mask": (10, 12),
        "other": (10, 1),
        "hour": (10,),
    }
    assert shapes.output_shape(sizes) == (9, 30)
    for name, values in inputs.items():
        assert padded[name].sum() == values.sum()
        assert padded[name].dtype == values.dtype


def test_added_lists_are_chunks_of_their_own() -> None:
    listed = Signature(
        layout="list", inputs=(spec("value", "item.value"), spec("of", "batch.chunk_of", "int64"))
    )
    shapes = InputShapes(listed)
    inputs: Inputs = {"value": np.ones((9, 3), np.float32), "of": np.arange(9)}
    assert padded_by(shapes, inputs)["of"].tolist() == list(range(10))


def test_pairs_are_padded_with_the_padding_token() -> None:
    signature = Signature(
        layout="pairs",
        pair=PairSpec(query="context.query", text="details.text", max_length=64, pad_id=7),
        inputs=(spec("ids", "tokens.ids", "int64"), spec("mask", "tokens.mask", "int64")),
    )
    shapes, inputs = InputShapes(signature), {name: np.ones((9, 11), np.int64) for name in ("ids", "mask")}
    padded = padded_by(shapes, inputs)
    assert padded["ids"].shape == padded["mask"].shape == (10, 12)
    assert padded["ids"][9].tolist() == [7] * 12
    assert padded["mask"].sum() == 99


def test_refuses_inputs_that_differ_from_the_signature() -> None:
    with pytest.raises(RuntimeFailure, match=r"input of: must be int64 \(candidates=4\), got int64 \[3\]"):
        InputShapes(RAGGED).sizes({**ragged_inputs([(3, 2), (1, 0)]), "of": np.zeros(3, np.int64)})


@pytest.mark.parametrize("signature", [RAGGED, CHUNKS])
def test_sample_fits_the_signature(signature: Signature) -> None:
    shapes = InputShapes(signature)
    sizes = shapes.sizes(shapes.sample(3))
    assert set(sizes.values()) <= {1, 2, 3}


@pytest.mark.parametrize("number", [2**31, -(2**31), 2**62])
def test_refuses_numbers_that_openvino_would_cut_to_32_bits(number: int) -> None:
    shapes = InputShapes(Signature(inputs=(spec("area", "item.area", "int64"),)))
    shapes.sizes({"area": np.array([0, -1, 2**31 - 1, -(2**31 - 1)])})
    with pytest.raises(RuntimeFailure, match=f"input area: .* in 32 bits, got {number}; use runtime"):
        shapes.sizes({"area": np.array([0, number, 5])})
