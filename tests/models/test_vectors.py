"""Feature vectors: the same bits for every batch, and one rule for missing numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from models.assembly import InputAssembler
from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.features.sent import FIRST_UNKNOWN_ROW, catalogue_columns
from models.ragged import RaggedBatch
from models.signature import InputSpec, Signature
from models.vectors import VectorBuilder, VectorSpec, column_names, split_name
from tests.models.worlds import ATTRIBUTES, PROFILE, make_batch

FEATURES = ("item.popularity", "user.profile", "item.attributes.2", "context.hour", "candidate.score")
WIDTH = 1 + PROFILE + 1 + 1 + 1


def vectors(
    catalogue: Catalogue, batch: RaggedBatch, missing: Any = "nan", features: tuple[str, ...] = FEATURES
) -> NDArray[np.float32]:
    spec = VectorSpec(features=features, missing=missing)
    return VectorBuilder(spec, catalogue, name="dense")(batch, WIDTH)


def by_hand(catalogue: Catalogue, batch: RaggedBatch, missing: float) -> NDArray[np.float32]:
    """Build the vectors one number at a time."""
    rows = []
    for candidate, request in enumerate(batch.request_of()):
        row = batch.rows[candidate]
        profile, hour = batch.requests["user.profile"], batch.requests["context.hour"]
        assert isinstance(profile, np.ndarray)
        assert isinstance(hour, np.ndarray)
        rows.append(
            [
                catalogue.columns["popularity"][row],
                *profile[request],
                catalogue.columns["attributes"][row][2],
                hour[request],
                batch.candidates["score"][candidate],
            ]
        )
    with np.errstate(over="ignore"):
        numbers = np.array(rows, dtype=np.float64).astype(np.float32).reshape(-1, WIDTH)
    return np.where(np.isfinite(numbers), numbers, np.float32(missing))


def same_bits(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return bool(one.dtype == other.dtype == np.float32 and one.tobytes() == other.tobytes())


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    numbers=st.lists(st.floats(width=64), min_size=4, max_size=12),
    missing=st.sampled_from(["nan", -1.0, 0.0]),
    seed=st.integers(0, 100),
)
def test_any_numbers_in_any_batch_have_the_bits_of_the_same_rows_by_hand(
    catalogue: Catalogue, lengths: list[int], numbers: list[float], missing: Any, seed: int
) -> None:
    batch = make_batch(lengths, [0] * len(lengths), seed)
    random = np.random.default_rng(seed)
    batch = batch.adding(
        requests={
            "user.profile": random.choice(numbers, (len(batch), PROFILE)),
            "context.hour": random.choice(numbers, len(batch)),
        },
        candidates={"score": random.choice(numbers, batch.candidate_count)},
    )
    built = vectors(catalogue, batch, missing)
    assert same_bits(built, by_hand(catalogue, batch, float(missing)))
    parts = [vectors(catalogue, batch.take(np.array([request])), missing) for request in range(len(batch))]
    assert same_bits(built, np.concatenate(parts))


@pytest.mark.parametrize("missing", ["nan", -1.0])
def test_serving_assembles_the_same_bits_and_pads_them_in_lists(catalogue: Catalogue, missing: Any) -> None:
    batch = make_batch([3, 1], [0, 0])
    spec = InputSpec(name="x", source="vector.dense", shape=(WIDTH,))
    declared = {"dense": VectorSpec(features=FEATURES, missing=missing)}
    flat = InputAssembler(Signature(inputs=(spec,), vectors=declared), catalogue)(batch)["x"]
    assert same_bits(flat, vectors(catalogue, batch, missing))
    lists = InputAssembler(Signature(inputs=(spec,), vectors=declared, layout="list"), catalogue)(batch)["x"]
    assert same_bits(np.concatenate([lists[0], lists[1, :1]]), flat)


def test_a_number_too_large_for_float32_is_missing(catalogue: Catalogue) -> None:
    batch = make_batch([2], [0]).adding(requests={"context.hour": np.array([1e300])})
    assert vectors(catalogue, batch, -7.0)[:, -2].tolist() == [-7.0, -7.0]


def test_items_that_a_request_sends_have_their_own_values(catalogue: Catalogue) -> None:
    batch = make_batch([3], [0])
    batch = replace(
        batch, rows=np.array([4, FIRST_UNKNOWN_ROW, 5])
    )  # the second item is outside the catalogue
    popularity, sent = catalogue.columns["popularity"], catalogue_columns(catalogue, batch.rows)
    sent["item.popularity"][1] = 0.75
    sent["item.attributes"][1] = np.arange(ATTRIBUTES)
    built = vectors(catalogue, batch.adding(candidates=sent))
    assert built[:, 0].tolist() == [popularity[4], 0.75, popularity[5]]
    assert built[1, 1 + PROFILE] == 2.0
    known = replace(batch, rows=batch.rows[[0, 2]], offsets=np.array([0, 2]))
    known = known.adding(candidates={"score": batch.candidates["score"][[0, 2]]})
    assert same_bits(built[[0, 2]], vectors(catalogue, known))


def test_empty_batch_has_no_rows(catalogue: Catalogue) -> None:
    assert vectors(catalogue, make_batch([0], [0])).shape == (0, WIDTH)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (("item.colour",), "no column 'colour'; use one of attributes"),
        (("user.history",), "user.history is ragged"),
        (("item.popularity",), f"have 1 numbers, but the model reads {WIDTH}"),
        ((*FEATURES, "item.attributes"), f"have {WIDTH + ATTRIBUTES} numbers"),
        ((*FEATURES[1:], f"item.attributes.{ATTRIBUTES}"), f"has no number {ATTRIBUTES}"),
    ],
)
def test_wrong_features_are_refused(catalogue: Catalogue, features: tuple[str, ...], message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        vectors(catalogue, make_batch([2], [1]), features=features)


@pytest.mark.parametrize("features", [[], ["price"], ["shop.price"], ["item.a.01"], ["item.a.b"]])
def test_a_vector_has_features_with_full_names(features: list[str]) -> None:
    with pytest.raises(ValueError, match="features"):
        VectorSpec.model_validate({"features": features})


@pytest.mark.parametrize("missing", ["none", float("inf"), 1e39])
def test_missing_is_nan_or_a_float32(missing: Any) -> None:
    with pytest.raises(ValueError, match="missing"):
        VectorSpec.model_validate({"features": ["item.a"], "missing": missing})


def test_columns_are_named_after_features_and_their_numbers() -> None:
    names = column_names(["item.price", "item.position", "item.position.1"], {"item.position": 2})
    assert names == ["item.price", "item.position.0", "item.position.1", "item.position.1"]
    assert [split_name(name) for name in names[:2]] == [("item", "price", None), ("item", "position", 0)]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"inputs": [{"name": "x", "source": "vector.v", "shape": [1]}]}, "vectors has no 'v'"),
        (
            {
                "inputs": [{"name": "x", "source": "vector.v"}],
                "vectors": {"v": {"features": ["item.a"]}},
            },
            "has the shape \\(F,\\)",
        ),
        ({"inputs": [], "vectors": {"v": {"features": ["item.a"]}}}, "no input reads v"),
    ],
)
def test_a_signature_declares_every_vector_that_it_reads(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Signature.model_validate(document)
