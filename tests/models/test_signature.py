"""Signatures: every source of the grammar, and what is no source."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, offsets_of
from models.signature import (
    InputAssembler,
    InputSpec,
    Signature,
    chunk_offsets,
    from_lists,
    mask_of,
    to_lists,
)
from tests.models.worlds import ATTRIBUTES, make_batch

BATCH = make_batch([3, 1], [2, 0])


def assembled(catalogue: Catalogue, spec: InputSpec, layout: str = "flat") -> NDArray[Any]:
    signature = Signature.model_validate({"inputs": (spec,), "layout": layout})
    return InputAssembler(signature, catalogue)(BATCH)[spec.name]


def spec_of(source: str, shape: tuple[int, ...] = (), dtype: str = "float32") -> InputSpec:
    return InputSpec.model_validate({"name": "x", "source": source, "shape": shape, "dtype": dtype})


def test_an_item_column_has_a_row_a_candidate(catalogue: Catalogue) -> None:
    values = assembled(catalogue, spec_of("item.attributes", (ATTRIBUTES,)))
    np.testing.assert_array_equal(values, catalogue.columns["attributes"][BATCH.rows])
    assert values.flags.c_contiguous


def test_an_item_column_in_lists_is_padded_with_zeros(catalogue: Catalogue) -> None:
    values = assembled(catalogue, spec_of("item.popularity"), "list")
    assert values.shape == (2, 3)
    assert values[1, 1:].tolist() == [0.0, 0.0]


def test_an_item_column_at_the_history_is_zero_where_the_item_is_unknown(catalogue: Catalogue) -> None:
    history = BATCH.requests["user.history"]
    assert isinstance(history, RaggedArray)
    keys = history.values.copy()
    keys[1] = 12345
    batch = BATCH.adding(requests={"user.history": RaggedArray(keys, history.offsets)})
    spec = spec_of("item.attributes@user.history", (ATTRIBUTES,))
    values = InputAssembler(Signature(inputs=(spec,)), catalogue)(batch)["x"]
    row = catalogue.rows_of_keys(keys)[0]
    np.testing.assert_array_equal(values[0], catalogue.columns["attributes"][row])
    assert values[1].tolist() == [0.0] * ATTRIBUTES


def test_a_history_comes_flat_with_offsets_or_padded_with_a_mask(catalogue: Catalogue) -> None:
    assert assembled(catalogue, spec_of("user.history_rating")).shape == (2,)
    assert assembled(catalogue, spec_of("user.history:offsets", (), "int64")).tolist() == [0, 2, 2]
    assert assembled(catalogue, spec_of("user.history_rating:list")).shape == (2, 2)
    assert assembled(catalogue, spec_of("user.history:mask", (), "bool")).tolist() == [
        [True, True],
        [False, False],
    ]
    padded = assembled(catalogue, spec_of("item.attributes@user.history:list", (ATTRIBUTES,)))
    assert padded.shape == (2, 2, ATTRIBUTES)
    assert not padded[1].any()


def test_request_features_stages_columns_and_the_batch_itself(catalogue: Catalogue) -> None:
    np.testing.assert_array_equal(
        assembled(catalogue, spec_of("context.hour")), BATCH.requests["context.hour"]
    )
    np.testing.assert_array_equal(assembled(catalogue, spec_of("candidate.score")), BATCH.candidates["score"])
    assert assembled(catalogue, spec_of("batch.offsets", (), "int64")).tolist() == [0, 3, 4]
    assert assembled(catalogue, spec_of("batch.request_of", (), "int64")).tolist() == [0, 0, 0, 1]
    assert assembled(catalogue, spec_of("batch.mask", (), "bool"), "list").tolist() == [
        [True] * 3,
        [True, False, False],
    ]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("item.altitude", "no column 'altitude'"),
        ("item.attributes", r"shape \(\) was declared"),
        ("user.history:sum", "':sum'"),
        ("item.popularity@user.history:offsets", "':offsets'"),
        ("batch.size", "'batch.size' is unknown"),
        ("weather.rain", "use item"),
    ],
)
def test_a_wrong_source_is_refused_at_once(catalogue: Catalogue, source: str, told: str) -> None:
    with pytest.raises(SignatureError, match=told):
        assembled(catalogue, spec_of(source))


def test_a_feature_of_fixed_shape_has_no_offsets(catalogue: Catalogue) -> None:
    with pytest.raises(SignatureError, match=r"user\.profile is not ragged"):
        assembled(catalogue, spec_of("user.profile:offsets"))


@pytest.mark.parametrize(
    ("source", "layout", "axes"),
    [
        ("item.a", "flat", ("candidates",)),
        ("candidate.a", "list", ("requests", "candidates")),
        ("batch.mask", "list", ("requests", "candidates")),
        ("batch.request_of", "flat", ("candidates",)),
        ("user.a", "list", ("requests",)),
        ("user.a:mask", "list", ("requests", "longest")),
        ("item.a@user.b:list", "list", ("requests", "longest")),
        ("item.a@user.b", "flat", ("values of user.b",)),
        ("user.b:offsets", "flat", ("offsets",)),
    ],
)
def test_leading_axes_follow_the_source(source: str, layout: str, axes: tuple[str, ...]) -> None:
    assert spec_of(source).axes("list" if layout == "list" else "flat") == axes


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_lists_and_back(lengths: list[int]) -> None:
    offsets = offsets_of(np.array(lengths, dtype=np.int64))
    values = np.arange(offsets[-1] * 2, dtype=np.float32).reshape(-1, 2)
    lists = to_lists(values, offsets)
    assert lists.shape == (len(lengths), max(lengths), 2)
    np.testing.assert_array_equal(from_lists(lists, offsets), values)
    assert mask_of(offsets).sum(axis=1).tolist() == lengths


def test_lists_of_one_length_are_not_copied() -> None:
    values = np.arange(6, dtype=np.float32)
    assert np.shares_memory(to_lists(values, np.array([0, 3, 6])), values)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_chunks_cut_every_request_and_join_none(lengths: list[int]) -> None:
    offsets = offsets_of(np.array(lengths, dtype=np.int64))
    cuts = chunk_offsets(offsets)
    assert set(offsets.tolist()) <= set(cuts.tolist())
    assert (np.diff(cuts) >= 0).all()
    padded = len(np.diff(cuts)) * int(np.diff(cuts).max(initial=0))
    assert padded <= len(lengths) * max(lengths)  # never more than lists padded to the longest


def test_one_long_request_does_not_pad_the_short_ones() -> None:
    cuts = np.diff(chunk_offsets(offsets_of(np.array([1000] + [50] * 15))))
    assert len(cuts) * cuts.max() < 1.3 * 1750


def test_chunks_tell_their_request(catalogue: Catalogue) -> None:
    batch = make_batch([100, 20, 0, 33], [1, 2, 3, 0])
    specs = (
        spec_of("batch.chunk_of", (), "int64"),
        spec_of("item.popularity"),
        spec_of("batch.mask", (), "bool"),
    )
    named = tuple(spec.model_copy(update={"name": name}) for spec, name in zip(specs, "rim", strict=True))
    signature = Signature(inputs=named, layout="chunks")
    assembler = InputAssembler(signature, catalogue)
    inputs = assembler(batch)
    sizes = inputs["m"].sum(axis=1)
    assert inputs["i"].shape == inputs["m"].shape
    assert [int(sizes[inputs["r"] == request].sum()) for request in range(4)] == [100, 20, 0, 33]
    flat = assembler.flatten({"score": inputs["i"]}, batch)["score"]
    np.testing.assert_array_equal(flat, catalogue.columns["popularity"][batch.rows])
    whole = InputAssembler(signature, catalogue, whole_lists=True)(batch)
    assert whole["i"].shape == (4, 100)
    assert whole["r"][[0, 1, 3]].tolist() == [0, 1, 3]  # whose an empty row is does not matter
