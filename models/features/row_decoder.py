"""Decodes the user rows of a whole batch into columns. It is planned once for the features that are wanted."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.features.aggregates import AsOf
from models.features.definition import Feature
from models.features.events import AT_S, EventTable
from models.features.freshness import without_stale
from models.features.row_layout import RowLayout
from models.ragged import Column, RaggedArray

Row = bytes | memoryview


@dataclass(frozen=True)
class Decoded:
    """A batch's decoded rows.

    Attributes:
        columns: columns by name, "<group>.<name>".
        unreadable: indices of rows that could not be read. Their features have the defaults.
    """

    columns: dict[str, Column]
    unreadable: list[int]


class _Events(NamedTuple):
    """The aggregates over one type of events.

    Attributes:
        body: the index of the events among the bodies of a row.
        fields: the fields that are read.
    """

    body: int
    dtype: np.dtype[Any]
    fields: tuple[str, ...]
    features: tuple[Feature, ...]


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
            fields = dict.fromkeys(f.aggregate.field for f in features if f.aggregate is not None)
            body = bodies.index(f"!{event}")
            if features:
                self._events.append(_Events(body, layout.events.types[event], tuple(fields), features))

    def __call__(self, values: Sequence[Row | None], now_s: NDArray[np.float64] | None = None) -> Decoded:
        """Decode B rows at the times ``now_s`` (B,), epoch seconds.

        A row that is None or unreadable gets the defaults. ``now_s`` is required if aggregates or features with a
        freshness limit are decoded.
        """
        read = self._layout.read(values)
        heads = read.heads
        columns: dict[str, Column] = {column: heads[name].copy() for name, column in self._fixed}
        if self._lists or self._events:
            bodies = _Bodies(read.rows, read.lengths, self._layout)
            for column, body, dtype in self._lists:
                columns[column] = RaggedArray(bodies.values(body, dtype), bodies.offsets[body])
            for events in self._events:
                assert now_s is not None, f"now_s: required for the aggregates in group {self._layout.group}"
                columns |= _aggregated(events, bodies, now_s)
        for feature in self._timed:
            assert now_s is not None, f"now_s: required for {feature.column}, which has a freshness limit"
            value_at_s = heads[f"@{feature.name}"]
            columns[feature.column] = without_stale(feature, columns[feature.column], now_s - value_at_s)
        return Decoded(columns, read.unreadable)


class _Bodies:
    """The ragged values and events of B rows.

    Attributes:
        offsets: int64 (bodies, B + 1), the rows' values by body, laid end to end.
    """

    def __init__(self, rows: Sequence[Row], lengths: NDArray[np.int64], layout: RowLayout) -> None:
        self._rows = rows
        self.offsets = np.zeros((lengths.shape[1], len(rows) + 1), dtype=np.int64)
        np.cumsum(lengths.T, axis=1, out=self.offsets[:, 1:])
        self._counts = self.offsets[:, -1].tolist()
        ends = np.cumsum(lengths * layout.body_bytes, axis=1) + layout.head_bytes
        self._ends: list[list[int]] = ends.T.tolist()
        self._head = [layout.head_bytes] * len(rows)

    def values(self, body: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the values of all rows end to end, (T, ...)."""
        if not self._counts[body]:
            return np.empty((0, *dtype.shape), dtype=dtype.base)
        starts = self._ends[body - 1] if body else self._head
        parts = [row[a:b] for row, a, b in zip(self._rows, starts, self._ends[body], strict=True)]
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        return np.frombuffer(data, dtype=dtype.base).reshape(-1, *dtype.shape)


def _aggregated(events: _Events, bodies: _Bodies, now_s: NDArray[np.float64]) -> dict[str, Column]:
    flat = bodies.values(events.body, events.dtype)
    fields = {AT_S: flat[AT_S]} | {name: flat[name].copy() for name in events.fields}
    evaluate = AsOf(EventTable(bodies.offsets[events.body], fields), None, now_s)
    return {feature.column: evaluate(feature) for feature in events.features}
