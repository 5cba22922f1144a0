"""One item feature of the items that requests send: its type, its limits and its default."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.definition import CELL, Feature
from services.errors import Unprocessable

SHOWN = 80  # characters of the caller's text that an error repeats
_NUMBERS = frozenset({int, float})


class SentColumn:
    """A column of the catalogue that a request may send."""

    def __init__(self, name: str, column: NDArray[Any], feature: Feature | None) -> None:
        """Find type, limits and default.

        Args:
            name: the column's name.
            column: its values, (items, ...).
            feature: its definition. None: the definitions do not have it.
        """
        self._name = name
        self._column = np.asarray(column)  # still memory-mapped, and faster to index
        self._shape, self._dtype = column.shape[1:], column.dtype
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

    def values(
        self, sent: Sequence[Mapping[str, Any]], places: Sequence[str], rows: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Return the values of items, (S, ...), from the features that were sent with them.

        An item without this feature has the catalogue's value, or the default if it is a new item.

        Args:
            sent: the features of each item.
            places: where the items are in the request, for errors.
            rows: int64 (S,), the items' rows in the catalogue, -1 for new items.

        Raises:
            Unprocessable: a value has another type or length, or is out of range.
        """
        is_new = rows < 0
        values = self._column.take(np.where(is_new, 0, rows), axis=0)
        values[is_new] = self._default
        having = [index for index, features in enumerate(sent) if self._name in features]
        if having:
            given = [sent[index][self._name] for index in having]
            numbers = self._numbers(given)
            if numbers is None:
                self._refuse(given, [f"{places[index]}.features.{self._name}" for index in having])
            else:
                values[having] = numbers
        return values

    def _numbers(self, given: Sequence[Any]) -> NDArray[Any] | None:
        """Return valid values as one array (len(given), ...). None if one of them is invalid."""
        if self._shape:
            if not all(type(value) is list and len(value) == self._size for value in given):
                return None
            given = list(chain.from_iterable(given))
        if not _NUMBERS.issuperset(map(type, given)):
            return None
        try:
            floats = np.array(given, dtype=np.float64).reshape(-1, self._size)
        except OverflowError:  # an integer of hundreds of digits
            return None
        fits = (floats >= self._low) & (floats <= self._high)
        if not fits.all() or (self._whole and (np.floor(floats) != floats).any()):
            return None
        return np.array(given, dtype=self._dtype).reshape(-1, *self._shape)

    def _refuse(self, given: Sequence[Any], fields: Sequence[str]) -> None:
        """Refuse the first invalid value."""
        for value, field in zip(given, fields, strict=True):
            if self._numbers([value]) is None:
                raise Unprocessable(self._fault(value), field=field)

    def _fault(self, value: Any) -> str:
        numbers = value if isinstance(value, list) else [value]
        is_list, are_numbers = isinstance(value, list), _NUMBERS.issuperset(map(type, numbers))
        if is_list != bool(self._shape) or len(numbers) != self._size or not are_numbers:
            expected = f"a list of {self._size} numbers" if self._shape else "a number"
            return f"wrong type or length, got {excerpt(value)}; send {expected}"
        limits = zip(numbers, self._low.tolist(), self._high.tolist(), strict=True)
        at = next(
            index
            for index, (number, low, high) in enumerate(limits)
            if not low <= number <= high or (self._whole and number != math.floor(number))
        )
        return (
            f"must be a {'whole ' if self._whole else ''}number from {self._low[at]:g} to {self._high[at]:g}, "
            f"got {excerpt(numbers[at])}; send a number in this range"
        )


def excerpt(value: object) -> str:
    """Return the beginning of a value as it is repeated in an error."""
    return f"{value!r:.{SHOWN}}"
