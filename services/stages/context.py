"""The layout of context features in a batch: all numbers in one array, and the texts end to end."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.features.definition import Feature, FeatureSet
from models.ragged import RaggedArray, offsets_of
from services.errors import Unprocessable
from services.stages.extent import POSITION, Extent

_SHOWN = 120  # characters of the caller's text that an error repeats
ContextValue = float | list[float] | str


class EncodedContext(NamedTuple):
    """A request's context.

    Attributes:
        numbers: the values for all numeric features, end to end.
        texts: each declared text as UTF-8, empty if it was not sent.
    """

    numbers: list[float]
    texts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Field:
    feature: Feature
    start: int
    width: int
    default: list[float]
    low: list[float]
    high: list[float]
    whole: bool


class ContextLayout:
    """Lays the numeric context features out in one row, so a batch of contexts is one array. Texts are separate."""

    def __init__(self, features: FeatureSet, extent: Extent | None = None) -> None:
        """Lay out the set's context features in declared order.

        Args:
            features: the features.
            extent: refuses positions with swapped numbers. Without it, positions are not compared with the catalogue.
        """
        self._extent = extent
        self._fields: dict[str, _Field] = {}
        start = 0
        for feature in features.supplied("context"):
            default = np.atleast_1d(feature.default_value()).astype(float).reshape(-1).tolist()
            kind = np.dtype(feature.dtype)
            limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
            low = float(limits.min) if feature.minimum is None else feature.minimum
            high = math.nextafter(limits.max, 0) if feature.maximum is None else feature.maximum
            self._fields[feature.name] = _Field(
                feature,
                start,
                len(default),
                default,
                np.full(len(default), low).tolist(),
                np.full(len(default), high).tolist(),
                kind.kind in "iu",
            )
            start += len(default)
        self.width = start
        self._defaults = [value for field in self._fields.values() for value in field.default]
        self._texts = {feature.name: feature.max_length for feature in features.texts}

    def encode(self, context: dict[str, ContextValue]) -> EncodedContext:
        """Return the numbers and the texts, with defaults for features that the caller does not send.

        Raises:
            Unprocessable: a name is unknown, a length is wrong, or a value is out of range. The error names the field.
        """
        row = self._defaults.copy()
        for name, value in context.items():
            field = self._fields.get(name)
            if field is None:
                if name in self._texts:
                    continue
                raise Unprocessable(
                    f"not a context feature of this pipeline; send only these: "
                    f"{', '.join((*self._fields, *self._texts)) or 'none'}",
                    field=f"context.{name[:_SHOWN]}",
                )
            values = value if isinstance(value, list | str) else [value]
            if (
                isinstance(values, str)
                or len(values) != field.width
                or isinstance(value, list) != bool(field.feature.shape)
            ):
                expected = f"a list of {field.width} numbers" if field.feature.shape else "a number"
                raise Unprocessable(f"wrong type or length; send {expected}", field=f"context.{name}")
            for number, low, high in zip(values, field.low, field.high, strict=True):
                if not low <= number <= high or (field.whole and not number.is_integer()):
                    raise Unprocessable(
                        f"must be a {'whole ' if field.whole else ''}number from {low:g} to {high:g}, "
                        f"got {number}; send a number in this range",
                        field=f"context.{name}",
                    )
            row[field.start : field.start + field.width] = values
        if self._extent is not None and POSITION in context:
            start = self._fields[POSITION].start
            self._extent.refuse_swapped(row[start], row[start + 1])
        texts = (
            tuple([_text(name, max_bytes, context) for name, max_bytes in self._texts.items()])
            if self._texts
            else ()
        )
        return EncodedContext(row, texts)

    def sample(self) -> EncodedContext:
        """Return a context for warm-up: the defaults, and a few words for each text."""
        return self.encode({name: "warm up"[:max_bytes] for name, max_bytes in self._texts.items()})

    def columns(self, contexts: Sequence[EncodedContext]) -> dict[str, NDArray[Any]]:
        """Return the numbers as per-request columns (B, ...) by feature name, in the declared dtypes."""
        rows = [context.numbers for context in contexts]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), self.width)
        return {
            name: table[:, field.start : field.start + field.width]
            .reshape(len(rows), *field.feature.shape)
            .astype(field.feature.dtype)
            for name, field in self._fields.items()
        }

    def texts(self, contexts: Sequence[EncodedContext]) -> dict[str, RaggedArray]:
        """Return the texts as ragged columns by source: uint8, the UTF-8 of B texts end to end."""
        return {
            f"context.{name}": _end_to_end([context.texts[index] for context in contexts])
            for index, name in enumerate(self._texts)
        }


def _text(name: str, max_bytes: int, context: dict[str, ContextValue]) -> bytes:
    value = context.get(name, "")
    if not isinstance(value, str):
        raise Unprocessable(f"expected text, got {value!r:.{_SHOWN}}; send a string", field=f"context.{name}")
    encoded = value.encode()
    if len(encoded) > max_bytes:
        raise Unprocessable(
            f"more than {max_bytes} bytes of UTF-8, got {len(encoded)}; send a shorter text",
            field=f"context.{name}",
        )
    return encoded


def _end_to_end(texts: Sequence[bytes]) -> RaggedArray:
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return RaggedArray(np.frombuffer(b"".join(texts), dtype=np.uint8), offsets_of(lengths))
