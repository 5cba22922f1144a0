"""Input assembly from every kind of source, and errors for unknown sources."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.assembly import InputAssembler
from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray
from models.signature import InputSpec, Signature
from tests.models.worlds import ATTRIBUTES, make_batch

BATCH = make_batch([3, 1], [2, 0])


def assembled(catalogue: Catalogue, spec: InputSpec, layout: str = "flat") -> NDArray[Any]:
    signature = Signature.model_validate({"inputs": (spec,), "layout": layout})
    return InputAssembler(signature, catalogue)(BATCH)[spec.name]


def spec_of(source: str, shape: tuple[int, ...] = (), dtype: str = "float32") -> InputSpec:
    return InputSpec.model_validate({"name": "x", "source": source, "shape": shape, "dtype": dtype})


def test_item_column_has_one_row_per_candidate(catalogue: Catalogue) -> None:
    values = assembled(catalogue, spec_of("item.attributes", (ATTRIBUTES,)))
    np.testing.assert_array_equal(values, catalogue.columns["attributes"][BATCH.rows])
    assert values.flags.c_contiguous


def test_an_item_column_in_lists_is_padded_with_zeros(catalogue: Catalogue) -> None:
    values = assembled(catalogue, spec_of("item.popularity"), "list")
    assert values.shape == (2, 3)
    assert values[1, 1:].tolist() == [0.0, 0.0]


def test_item_column_for_the_history_is_zero_for_unknown_items(catalogue: Catalogue) -> None:
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


def test_assembles_request_features_columns_of_earlier_stages_and_batch_arrays(catalogue: Catalogue) -> None:
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
    ("source", "message"),
    [
        ("item.altitude", "no column 'altitude'"),
        ("item.attributes", r"has shape \(\), but catalogue column attributes has"),
        ("user.history:sum", "':sum'"),
        ("item.popularity@user.history:offsets", "':offsets'"),
        ("batch.size", "unknown source, got 'batch.size'"),
        ("weather.rain", "use item"),
    ],
)
def test_a_wrong_source_is_refused_at_once(catalogue: Catalogue, source: str, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        assembled(catalogue, spec_of(source))


def test_a_feature_of_fixed_shape_has_no_offsets(catalogue: Catalogue) -> None:
    with pytest.raises(SignatureError, match=r"user\.profile is not ragged"):
        assembled(catalogue, spec_of("user.profile:offsets"))


def test_chunks_map_back_to_their_requests(catalogue: Catalogue) -> None:
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
    assert whole["r"][[0, 1, 3]].tolist() == [0, 1, 3]  # the request of an empty row does not matter
