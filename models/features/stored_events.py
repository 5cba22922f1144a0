"""The layout of a group's events in user rows: event types, fields and maximum counts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.definition import Feature
from models.features.events import AT_S, SEQUENCE, EventTable


class StoredEvents:
    """The events that one group's aggregates need.

    Attributes:
        readers: features with an aggregate over the event type, by type.
        types: record dtype by event type: time, sequence, then the fields by name.
        capacity: maximum number of stored events by event type. The newest are kept.
        lists: features that are lists of events without a window.
    """

    def __init__(self, aggregates: Sequence[Feature]) -> None:
        """Collect the event types and fields that the features read."""
        self.readers: dict[str, list[Feature]] = {}
        for feature in aggregates:
            if feature.aggregate is not None:
                self.readers.setdefault(feature.aggregate.event, []).append(feature)
        self.readers = dict(sorted(self.readers.items()))
        self.types = {event: _record_of(features) for event, features in self.readers.items()}
        self.capacity = {event: max(f.event_limit for f in fs) for event, fs in self.readers.items()}
        self.lists = tuple(f for f in aggregates if f.aggregate and f.aggregate.window_s is None and f.ragged)
        """Features that are lists of events without a window. ``of_lists`` reads their values."""

    def of_lists(self, user: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return one user's events as records by type, from the values of ``lists``, which may be in any order.

        Raises:
            ValueError: a list is missing, or lists for one event type have different lengths.
        """
        events: dict[str, NDArray[Any]] = {}
        for event, dtype in self.types.items():
            fields = {
                f.aggregate.field: user[f.name]
                for f in self.lists
                if f.aggregate is not None and f.aggregate.event == event and f.name in user
            }
            if not fields:
                continue
            expected = {name for name in dtype.names or () if name != SEQUENCE}
            lengths = {len(values) for values in fields.values()}
            if set(fields) != expected or len(lengths) > 1:
                raise ValueError(
                    f"event {event}: expected the lists {sorted(expected)} with equal lengths, got {sorted(fields)} "
                    f"with {sorted(lengths)} values"
                )
            count, at_s = lengths.pop(), fields.pop(AT_S)
            user_of = np.zeros(count, dtype=np.int64)
            events[event] = EventTable.from_columns(user_of, at_s, np.arange(count), fields, 1).records(dtype)
        return events


def _record_of(features: Sequence[Feature]) -> np.dtype[Any]:
    fields: dict[str, np.dtype[Any]] = {}
    for feature in features:
        aggregate = feature.aggregate
        if aggregate is not None and aggregate.kind != "count" and aggregate.field != AT_S:
            fields[aggregate.field] = np.dtype((feature.dtype, feature.shape))
    times: list[tuple[str, Any]] = [(AT_S, np.dtype("float64")), (SEQUENCE, np.dtype("int64"))]
    return np.dtype([*times, *sorted(fields.items(), key=lambda field: field[0])])
