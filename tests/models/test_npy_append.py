from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.npy_append import GrowingArray


@given(
    st.lists(st.integers(0, 50), max_size=6),
    st.sampled_from(["float32", "int64", "uint8"]),
    st.sampled_from([(), (3,)]),
)
def test_an_array_that_grew_equals_one_that_was_written_at_once(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], dtype: str, inner: tuple[int, ...]
) -> None:
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    random = np.random.default_rng(0)
    parts = [random.integers(0, 100, (length, *inner)).astype(dtype) for length in [0, *lengths]]
    with GrowingArray(path) as array:
        for part in parts:
            array.append(part)
    np.testing.assert_array_equal(np.load(path), np.concatenate(parts))
    assert np.load(path, mmap_mode="r").dtype == np.dtype(dtype)


def test_refuses_rows_of_another_layout(tmp_path: Path) -> None:
    with GrowingArray(tmp_path / "a.npy") as array:
        array.append(np.zeros(2))
        with pytest.raises(AssertionError, match="another layout"):
            array.append(np.zeros((2, 2)))
