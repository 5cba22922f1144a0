"""Int8 matrices: the error is bounded by half a step, with a scale for each column or for the matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from models.compress.steps.quantization.layers.weight_codec import encode_matrix
from models.errors import TrainingError

NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32)
MATRICES = arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=NUMBERS)


@given(MATRICES, st.booleans(), st.sampled_from([7, 8]))
@settings(max_examples=200, deadline=None)
def test_every_number_is_within_half_a_step(
    matrix: NDArray[np.float32], per_channel: bool, bits: int
) -> None:
    coded = encode_matrix("layer", matrix, per_channel=per_channel, bits=bits)
    assert coded.scales.shape == ((matrix.shape[1],) if per_channel else ())
    assert np.abs(coded.values.astype(int)).max() <= 2 ** (bits - 1) - 1
    scales = coded.scales.astype(np.float64)
    error = np.abs(coded.values * scales - matrix)
    assert (error <= (0.5 + 1e-4) * scales).all()


def test_scales_per_column_keep_a_column_of_small_numbers() -> None:
    matrix = np.array([[100.0, 0.01], [-50.0, 0.02]], dtype=np.float32)
    assert encode_matrix("layer", matrix).decoded()[:, 1] == pytest.approx([0.01, 0.02], rel=0.01)
    assert (encode_matrix("layer", matrix, per_channel=False).decoded()[:, 1] == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_weights_that_are_not_finite(bad: float) -> None:
    with pytest.raises(TrainingError, match="the layer up has weights that are NaN or infinite"):
        encode_matrix("up", np.array([[1.0, bad]], dtype=np.float32))
