"""Int8 rows: every number is within half of its row's scale, for all finite tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from models.compress.steps.quantization.embeddings.row_codec import LARGEST, Int8Rows, encode_rows

NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
TABLES = arrays.arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 9)), elements=NUMBERS)
ULPS = 1e-4
"""Allowed for the rounding of float32, in units of the scale."""


def errors_in_scales(table: NDArray[np.float32], coded: Int8Rows) -> NDArray[np.float64]:
    scales = coded.scales().astype(np.float64)[:, None]
    decoded = coded.rows[:, :-1].astype(np.float64) * scales
    return np.asarray(np.abs(decoded - table) / scales)


@given(TABLES)
@settings(max_examples=200, deadline=None)
def test_every_number_is_within_half_of_its_rows_scale(table: NDArray[np.float32]) -> None:
    coded = encode_rows(table)
    assert coded.rows.shape == (table.shape[0], table.shape[1] + 1)
    assert coded.rows.dtype == np.int8
    assert errors_in_scales(table, coded).max() <= 0.5 + ULPS


@given(TABLES)
@settings(max_examples=200, deadline=None)
def test_a_scale_is_at_most_7_percent_larger_than_its_row_needs(table: NDArray[np.float32]) -> None:
    scales = encode_rows(table).scales()
    ideal = np.abs(table).max(axis=1) / np.float32(LARGEST)
    floor = max(float(ideal.max()) * 2.0**-24, 1e-37)
    assert (scales <= np.maximum(ideal, floor) * 1.07 + 1e-37).all()


def test_rows_of_zeros_stay_zeros() -> None:
    table = np.zeros((3, 5), dtype=np.float32)
    assert (encode_rows(table).decoded() == 0).all()
    table[1] = 4.0
    assert (encode_rows(table).decoded()[[0, 2]] == 0).all()


@pytest.mark.parametrize("spread", [0.0, 1.0, 2.0])
def test_error_of_random_rows_is_below_one_percent(spread: float) -> None:
    random = np.random.default_rng(0)
    table = random.normal(size=(70_000, 3)).astype(np.float32)  # more rows than are coded together
    table *= np.exp(spread * random.normal(size=(len(table), 1))).astype(np.float32)
    relative = np.linalg.norm(encode_rows(table).decoded() - table, axis=1) / np.linalg.norm(table, axis=1)
    assert relative.mean() < 0.01
