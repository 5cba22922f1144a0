"""Decodes the user rows of a whole batch into columns. It is planned once for the features that are wanted."""

from collections.abc import Container, Sequence
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.features.aggregates import AsOf, without_events
from models.features.definition import Feature
from models.features.events import AT_S, EventTable
from models.features.freshness import without_stale
from models.features.row_layout import ReadRows, RowLayout
from models.ragged import Column, RaggedArray

Row = bytes | memoryview


class Decoded(msgspec.Struct, frozen=True):
    """A batch's decoded rows.

    Attributes:
        columns: columns by name, "<group>.<name>".
        unreadable: indices of rows that could not be read. Their features have the defaults.
    """

    columns: dict[str, Column]
    unreadable: list[int]


class _Events:
    """The aggregates over one type of events.

    Attributes:
        body: the index of the events among the bodies of a row.
        dtype: the type of a stored event.
    """

    def __init__(self, body: int, dtype: np.dtype[Any], features: Sequence[Feature]) -> None:
        self.body, self.dtype, self._features = body, dtype, features
        aggregates = [f.aggregate for f in features if f.aggregate is not None]
        self._fields = {AT_S, *(aggregate.field for aggregate in aggregates)}
        # Without a feature over all events, older events than this change nothing.
        self._window_s = max(np.inf if a.window_s is None else a.window_s for a in aggregates)
        self._lists = [
            (f.column, f.aggregate.field, np.dtype(f.dtype))
            for f in features
            if f.aggregate is not None
            and (f.aggregate.kind, f.aggregate.window_s, f.fresh_for_s) == ("last_values", None, None)
        ]
        # If all features are such lists, short lists of past events are the lists of all stored events. They need no
        # search, which saves 10 us for each batch.
        self._limit = min(f.event_limit for f in features) if len(self._lists) == len(features) else 0

    def columns(self, events: RaggedArray, now_s: NDArray[np.float64]) -> dict[str, Column]:
        """Return the features' columns from the events of B users at the times ``now_s`` (B,)."""
        flat, offsets = events.values, events.offsets
        last_s, first_now_s = flat[AT_S].max(initial=-np.inf), min(now_s.tolist())
        if not len(flat) or last_s < first_now_s - self._window_s:
            return {feature.column: without_events(feature, len(events)) for feature in self._features}
        if last_s < first_now_s and max(events.lengths.tolist()) <= self._limit:
            return {
                column: RaggedArray(np.ascontiguousarray(flat[field], dtype), offsets)
                for column, field, dtype in self._lists
            }
        table = EventTable(offsets, {name: flat[name] for name in self._fields})
        evaluate = AsOf(table, None, now_s)
        return {feature.column: evaluate(feature) for feature in self._features}


class RowDecoder:
    """Decodes one group's rows."""

    def __init__(self, layout: RowLayout, columns: Container[str] | None = None) -> None:
        """Plan the decoding of the features whose column is in ``columns``, or of all features."""
        self._layout = layout
        wanted = [f for f in layout.plain if columns is None or f.column in columns]
        bodies = list(layout.bodies)
        self._fixed = [(f.name, f.column) for f in wanted if not f.ragged]
        self._timed = [f for f in wanted if f.fresh_for_s is not None]
        self._lists = [
            (f.column, bodies.index(f"#{f.name}"), layout.bodies[f"#{f.name}"]) for f in wanted if f.ragged
        ]
        self._events: list[_Events] = []
        for event, readers in layout.events.readers.items():
            features = tuple(f for f in readers if columns is None or f.column in columns)
            if features:
                self._events.append(_Events(bodies.index(f"!{event}"), layout.events.types[event], features))

        self._wants_nothing = not (self._fixed or self._timed or self._lists or self._events)

    def __call__(self, values: Sequence[Row | None], now_s: NDArray[np.float64] | None = None) -> Decoded:
        """Decode B rows at the times ``now_s`` (B,), epoch seconds.

        A row that is None or unreadable gets the defaults. ``now_s`` is required if aggregates or features with a
        freshness limit are decoded.
        """
        if self._wants_nothing and values.count(None) == len(values):
            return Decoded({}, [])
        read = self._layout.read(values)
        columns: dict[str, Column] = {}
        if self._fixed or self._timed:
            heads = self._layout.heads(read.rows)
            columns |= {column: heads[name].copy() for name, column in self._fixed}
        for column, body, dtype in self._lists:
            columns[column] = _values(read, body, dtype)
        for events in self._events:
            assert now_s is not None, f"now_s: required for the aggregates in group {self._layout.group}"
            columns |= events.columns(_values(read, events.body, events.dtype), now_s)
        for feature in self._timed:
            assert now_s is not None, f"now_s: required for {feature.column}, which has a freshness limit"
            value_at_s = heads[f"@{feature.name}"]
            columns[feature.column] = without_stale(feature, columns[feature.column], now_s - value_at_s)
        return Decoded(columns, read.unreadable)


def _values(read: ReadRows, body: int, dtype: np.dtype[Any]) -> RaggedArray:
    """Return the values of one body of B rows."""
    parts = [row[ends[body] : ends[body + 1]] for row, ends in zip(read.rows, read.ends, strict=True)]
    lengths = [len(part) // dtype.itemsize for part in parts]
    offsets = np.array(list(accumulate(lengths, initial=0)), dtype=np.int64)
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    if not data:
        return RaggedArray(np.empty((0, *dtype.shape), dtype=dtype.base), offsets)
    values = np.frombuffer(data, dtype=dtype.base).reshape(-1, *dtype.shape)
    return RaggedArray(values, offsets)
