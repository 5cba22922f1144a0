"""A layer's matrix in int8, with a scale for each column or one for the matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.cpu_flags import sums_int8_exactly
from models.errors import TrainingError

_LARGEST = {8: 127, 7: 63}
"""The largest stored number by bits. Numbers are stored symmetrically around 0."""
_TINY = 1e-37


@dataclass(frozen=True, slots=True)
class Int8Matrix:
    """A coded matrix.

    Attributes:
        values: int8 (rows, columns).
        scales: float32, (columns,) or ().
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float32]

    def decoded(self) -> NDArray[np.float32]:
        """Return the matrix. Numbers differ from the originals by half of their column's scale at most."""
        return self.values.astype(np.float32) * self.scales


def weight_bits(reduce_range: bool | None) -> int:
    """Return the bits of a layer's weights. None: 7 if this CPU would overflow with 8."""
    is_reduced = (not sums_int8_exactly()) if reduce_range is None else reduce_range
    return 7 if is_reduced else 8


def encode_matrix(
    name: str, matrix: NDArray[np.float32], *, per_channel: bool = True, bits: int = 8
) -> Int8Matrix:
    """Code a matrix, float32 (rows, columns).

    Args:
        name: the layer's name, for errors.
        matrix: the layer computes ``activations @ matrix``.
        per_channel: a scale for each column, instead of one for the matrix.
        bits: 8, or 7 for CPUs that would overflow (``reduce_range``).

    Raises:
        TrainingError: the matrix has a number that is NaN or infinite.
    """
    largest = np.abs(matrix).max(axis=0 if per_channel else None)
    if not np.isfinite(largest).all():
        raise TrainingError(
            f"quantize: the layer {name} has weights that are NaN or infinite; train the model again"
        )
    scales = np.asarray(np.maximum(largest / np.float32(_LARGEST[bits]), _TINY), dtype=np.float32)
    limit = _LARGEST[bits]
    return Int8Matrix(np.rint(matrix / scales).clip(-limit, limit).astype(np.int8), scales)
