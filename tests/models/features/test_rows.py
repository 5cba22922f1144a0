"""User rows: decoding returns the encoded values for any feature set."""

import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec
from models.ragged import RaggedArray

DTYPES = st.sampled_from(["float32", "float64", "int32", "int64", "uint8", "int8", "float16"])


@st.composite
def feature_sets(draw: st.DrawFn) -> FeatureSet:
    """Draw one to five user features, fixed or ragged, of any dtype and with small shapes."""
    features = []
    for number in range(draw(st.integers(1, 5))):
        ragged = draw(st.booleans())
        features.append(
            Feature.model_validate(
                {
                    "name": f"f{number}",
                    "group": "user",
                    "dtype": draw(DTYPES),
                    "shape": draw(st.sampled_from([(), (1,), (3,), (2, 2)])),
                    "ragged": ragged,
                    "max_length": 5 if ragged else 0,
                    "default": 0.0 if ragged else draw(st.sampled_from([0.0, 1.0, 7.0])),
                }
            )
        )
    return FeatureSet(features=tuple(features))


def random_user(features: FeatureSet, drawn: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Return a value for every feature.

    Ragged ones have up to ``max_length`` values.
    """
    user = {}
    for feature in features.features:
        shape = (int(drawn.integers(0, 6)), *feature.shape) if feature.ragged else feature.shape
        user[feature.name] = drawn.integers(0, 100, shape).astype(feature.dtype)
    return user


@given(feature_sets(), st.integers(0, 5), st.integers(0, 1000), st.data())
@settings(deadline=None)
def test_decoding_a_batch_returns_the_encoded_values(
    features: FeatureSet, count: int, seed: int, data: st.DataObject
) -> None:
    codec, drawn = UserRowCodec(features), np.random.default_rng(seed)
    users = [random_user(features, drawn) if data.draw(st.booleans()) else None for _ in range(count)]
    columns = codec.decode([None if user is None else codec.encode(user) for user in users]).columns
    for feature in features.features:
        column = columns[f"user.{feature.name}"]
        assert len(column) == count
        for number, user in enumerate(users):
            if user is not None:
                expected = user[feature.name]
            else:
                expected = np.zeros((0, *feature.shape)) if feature.ragged else feature.default_value()
            result = column[number]
            assert result.dtype == feature.dtype
            np.testing.assert_array_equal(result, expected)


def test_a_missing_feature_takes_its_default_and_long_ones_keep_the_newest() -> None:
    features = FeatureSet(
        features=(
            Feature(name="pace", group="user", default=5.0),
            Feature(name="past", group="user", dtype="int64", ragged=True, max_length=3),
        )
    )
    codec = UserRowCodec(features)
    columns = codec.decode([codec.encode({"past": np.arange(10)})]).columns
    assert columns["user.pace"][0] == 5.0
    past = columns["user.past"]
    assert isinstance(past, RaggedArray)
    assert past[0].tolist() == [7, 8, 9]


def test_decodes_memory_views() -> None:
    codec = UserRowCodec(FeatureSet(features=(Feature(name="pace", group="user"),)))
    columns = codec.decode([memoryview(codec.encode({"pace": np.array(3.0)})), None]).columns
    assert columns["user.pace"].tolist() == [3.0, 0.0]  # type: ignore[union-attr]


def test_row_of_other_definitions_has_the_defaults_and_is_reported() -> None:
    old = UserRowCodec(FeatureSet(features=(Feature(name="pace", group="user"),)))
    new = UserRowCodec(
        FeatureSet(features=(Feature(name="pace", group="user", dtype="float64", default=5.0),))
    )
    decoded = new.decode([old.encode({}), new.encode({"pace": np.array(2.0)})])
    assert decoded.unreadable == [0]
    assert decoded.columns["user.pace"].tolist() == [5.0, 2.0]  # type: ignore[union-attr]
    assert "load the store again" in new.refusal(old.encode({}))


def test_rows_stay_readable_after_changes_in_other_groups() -> None:
    pace = Feature(name="pace", group="user")
    before = UserRowCodec(FeatureSet(features=(pace,)))
    after = UserRowCodec(FeatureSet(features=(pace, Feature(name="value", group="item"))))
    assert after.decode([before.encode({})]).unreadable == []


@given(feature_sets(), st.integers(0, 1000), st.randoms())
@settings(deadline=None)
def test_rows_do_not_depend_on_the_order_of_declaration(
    features: FeatureSet, seed: int, order: random.Random
) -> None:
    shuffled = FeatureSet(features=tuple(order.sample(features.features, len(features.features))))
    assert shuffled.content_hash == features.content_hash
    user = random_user(features, np.random.default_rng(seed))
    assert UserRowCodec(shuffled).encode(user) == UserRowCodec(features).encode(user)


@given(st.binary(max_size=60), st.booleans())
def test_any_stored_bytes_are_decoded_or_reported(garbage: bytes, tagged: bool) -> None:
    codec = UserRowCodec(
        FeatureSet(
            features=(
                Feature(name="pace", group="user"),
                Feature(name="past", group="user", dtype="int64", ragged=True, max_length=3),
            )
        )
    )
    row = codec.tag + garbage if tagged else garbage
    decoded = codec.decode([row, codec.encode({"pace": np.array(2.0)})])
    assert decoded.columns["user.pace"][1] == 2.0
    assert decoded.unreadable in ([], [0])


def test_pipeline_without_user_features_has_rows_without_columns() -> None:
    codec = UserRowCodec(FeatureSet(features=(Feature(name="value", group="item"),)))
    assert codec.decode([codec.encode({}), None]).columns == {}


def test_decoded_columns_are_writable_contiguous_arrays() -> None:
    codec = UserRowCodec(
        FeatureSet(features=(Feature(name="a", group="user"), Feature(name="b", group="user", shape=(3,))))
    )
    column = codec.decode([None]).columns["user.b"]
    assert isinstance(column, np.ndarray)
    assert column.flags.writeable
    assert column.strides == (12, 4)
