"""One item feature of the items that requests send: its type, its limits and its default."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.definition import CELL, Feature
from services.errors import Unprocessable

SHOWN = 80  # characters of the caller's text that an error repeats


class SentColumn:
    """A column of the catalogue that a request may send."""

    def __init__(self, name: str, column: NDArray[Any], feature: Feature | None) -> None:
        """Find type, limits and default.

        Args:
            name: the column's name.
            column: its values, (items, ...).
            feature: its definition. None: the definitions do not have it.
        """
        self._column, self._shape, self._dtype = column, column.shape[1:], column.dtype
        self._size = math.prod(self._shape)
        self._whole = self._dtype.kind in "iu"
        if feature is None:
            self._default = np.full(self._shape, -1 if name == CELL else 0).astype(self._dtype)
            low, high = None, None
        else:
            self._default = feature.default_value().astype(self._dtype)
            low, high = feature.minimum, feature.maximum
        limits: Any = np.iinfo(self._dtype) if self._whole else np.finfo(self._dtype)
        largest = math.nextafter(float(limits.max), 0.0) if self._dtype.itemsize == 8 else float(limits.max)
        self._low = np.broadcast_to(float(limits.min) if low is None else low, self._shape).reshape(-1)
        self._high = np.broadcast_to(largest if high is None else high, self._shape).reshape(-1)

    def without(self, row: int | None) -> NDArray[Any]:
        """Return the value of an item that was sent without this feature: the catalogue's, or the default."""
        return self._default if row is None else np.asarray(self._column[row])

    def read(self, value: object, field: str) -> NDArray[Any]:
        """Return a sent value.

        Raises:
            Unprocessable: it has another type or length, or is out of range.
        """
        numbers = value if isinstance(value, list) else [value]
        is_list, are_numbers = isinstance(value, list), set(map(type, numbers)) <= {int, float}
        if is_list != bool(self._shape) or len(numbers) != self._size or not are_numbers:
            expected = f"a list of {self._size} numbers" if self._shape else "a number"
            raise Unprocessable(f"wrong type or length, got {excerpt(value)}; send {expected}", field=field)
        floats = np.array([_float(number) for number in numbers])
        fits = (floats >= self._low) & (floats <= self._high)
        if self._whole:
            fits &= np.floor(floats) == floats
        if not fits.all():
            at = int(np.argmin(fits))
            raise Unprocessable(
                f"must be a {'whole ' if self._whole else ''}number from {self._low[at]:g} to "
                f"{self._high[at]:g}, got {excerpt(numbers[at])}; send a number in this range",
                field=field,
            )
        return np.array(numbers, dtype=self._dtype).reshape(self._shape)


def excerpt(value: object) -> str:
    """Return the beginning of a value as it is repeated in an error."""
    return f"{value!r:.{SHOWN}}"


def _float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf
