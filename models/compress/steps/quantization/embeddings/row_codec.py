"""Embedding rows in int8, each with its scale in one more byte.

A row of W numbers is W + 1 bytes, so that one read from memory fetches the numbers and their scale. A table is read at
random positions, and each further read would be another cache miss. The scale is the exponential of a linear function
of the last byte. Its 256 possible values are spaced evenly on a logarithmic scale from the table's smallest to its
largest, and each row has the smallest that covers its largest number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
"""Numbers are stored as -127 to 127."""
_CODES = 256
_MIDDLE = 128
"""The code of the smallest scale is stored as -128."""
_WIDEST = 2.0**-24
"""Scales are at least this share of the largest scale, so that two neighbouring scales differ by 7% at most."""
_TINY = 1e-37
"""The smallest scale. Smaller ones are not computed exactly."""
_ROWS_TOGETHER = 65_536


@dataclass(frozen=True, slots=True)
class Int8Rows:
    """A coded table.

    Attributes:
        rows: int8 (V, W + 1), the numbers and then the scale's code.
        step: a scale's logarithm rises by this from one code to the next.
        middle: the logarithm of the scale with code 0.
    """

    rows: NDArray[np.int8]
    step: np.float32
    middle: np.float32

    def scales(self) -> NDArray[np.float32]:
        """Return each row's scale, float32 (V,), as the graph computes it."""
        codes = self.rows[:, -1].astype(np.float32)
        return np.asarray(np.exp(codes * self.step + self.middle))

    def decoded(self) -> NDArray[np.float32]:
        """Return the table, float32 (V, W). Numbers differ from the originals by half of their row's scale at most."""
        return self.rows[:, :-1].astype(np.float32) * self.scales()[:, None]


def encode_rows(table: NDArray[np.float32]) -> Int8Rows:
    """Code a table, float32 (V, W) with at least one row and column, without NaN or infinite numbers."""
    largest = _largest(table)
    ideal = largest.astype(np.float64) / LARGEST
    top = max(float(ideal.max()), _TINY)
    ideal = np.maximum(ideal, max(top * _WIDEST, _TINY))
    low = float(np.log(ideal.min()))
    step = np.float32((np.log(top) - low) / (_CODES - 1))
    middle = np.float32(low + _MIDDLE * float(step))
    codes = np.arange(_CODES) - _MIDDLE
    scales = np.exp(codes.astype(np.float32) * step + middle)
    # The smallest scale that is large enough. Rounding may make the largest one too small by 1e-5, which is no harm.
    chosen = np.searchsorted(scales.astype(np.float64) * (LARGEST + 0.25), largest).clip(0, _CODES - 1)
    coded = np.empty((table.shape[0], table.shape[1] + 1), dtype=np.int8)
    coded[:, -1] = codes[chosen]
    for start in range(0, len(table), _ROWS_TOGETHER):
        part = slice(start, start + _ROWS_TOGETHER)
        numbers = np.rint(table[part] / scales[chosen[part], None])
        coded[part, :-1] = numbers.clip(-LARGEST, LARGEST)
    return Int8Rows(coded, step, middle)


def _largest(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row's largest absolute value."""
    parts = range(0, len(table), _ROWS_TOGETHER)
    return np.concatenate([np.abs(table[start : start + _ROWS_TOGETHER]).max(axis=1) for start in parts])
