"""Transforms: each result is as defined, whatever the values' memory layout."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.features.transforms import Affine, Age, Buckets, Clip, Cycle, Log, Transform, transformed

OF = "user.x"
ALL: list[Transform] = [
    Age(of=OF, unit_s=3600.0),
    Affine(of=OF, scale=0.1, offset=-2.0),
    Log(of=OF),
    Clip(of=OF, low=-1.0, high=1.0),
    Buckets(of=OF, edges=(0.0, 1.0, 10.0)),
    Cycle(of=OF, period=86_400.0, offset=7200.0, unit=3600.0),
]


def apply(transform: Transform, values: list[float], now_s: float = 0.0) -> list[float]:
    result: list[float] = transformed(transform, np.array(values), np.full(len(values), now_s)).tolist()
    return result


def test_age_is_the_elapsed_time_and_never_below_zero() -> None:
    assert apply(Age(of=OF, unit_s=60.0), [0.0, 540.0, 700.0], 600.0) == [10.0, 1.0, 0.0]
    ages = transformed(Age(of=OF), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 10.0]))
    assert ages.tolist() == [[4.0, 3.0], [7.0, 6.0]]


def test_affine_log_clip_buckets_and_cycle_return_the_expected_values() -> None:
    assert apply(Affine(of=OF, scale=2.0, offset=1.0), [3.0]) == [7.0]
    assert apply(Log(of=OF), [-5.0, 0.0, np.e - 1.0]) == [0.0, 0.0, pytest.approx(1.0)]
    assert apply(Clip(of=OF, low=0.0, high=2.0), [-1.0, 1.0, 3.0]) == [0.0, 1.0, 2.0]
    assert apply(Buckets(of=OF, edges=(1.0, 2.0)), [0.0, 1.0, 1.5, 2.0, 9.0]) == [0, 1, 1, 2, 2]
    hour = Cycle(of=OF, period=86_400.0, offset=7200.0, unit=3600.0)
    assert apply(hour, [0.0, 22 * 3600.0, 86_400.0 + 1800.0]) == [2.0, 0.0, 2.5]


@given(
    st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=70),
    st.sampled_from(ALL),
    st.integers(1, 3),
    st.integers(0, 9),
)
def test_result_for_a_single_value_has_the_same_bits_as_in_a_batch(
    values: list[float], transform: Transform, stride: int, index: int
) -> None:
    raw = np.array(values, dtype=np.float32)
    strided = np.repeat(raw, stride)[::stride]
    index %= len(raw)
    now_s = np.full(len(raw), 1.5e9)
    batch = transformed(transform, strided, now_s)
    single = transformed(transform, raw[index : index + 1], now_s[:1])
    assert batch[index].tobytes() == single[0].tobytes()


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: transform.kind)
def test_transform_survives_a_round_trip_through_json(transform: Transform) -> None:
    read: Any = TypeAdapter(Transform).validate_python(transform.model_dump(mode="json"))
    assert read == transform


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"kind": "clip", "of": OF, "low": 2.0, "high": 1.0}, "low must be at most high"),
        ({"kind": "buckets", "of": OF, "edges": (1.0, 1.0)}, "edges must ascend"),
        ({"kind": "age", "of": "user"}, "pattern"),
        ({"kind": "sqrt", "of": OF}, "kind"),
    ],
)
def test_a_wrong_transform_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Transform).validate_python(document)
