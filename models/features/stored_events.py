"""How a group's events lie in its users' rows: which types, which fields of each, and how many of the newest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.definition import Feature
from models.features.events import AT_S, SEQUENCE, EventTable


class StoredEvents:
    """What the aggregates of one group need, by event type.

    types: record dtype, time and sequence before the fields in order of name. capacity: how many events are kept.
    readers: the features that follow from it.
    """

    def __init__(self, aggregates: Sequence[Feature]) -> None:
        """Gather what the features read."""
        self.readers: dict[str, list[Feature]] = {}
        for feature in aggregates:
            if feature.aggregate is not None:
                self.readers.setdefault(feature.aggregate.event, []).append(feature)
        self.readers = dict(sorted(self.readers.items()))
        self.types = {event: _record_of(features) for event, features in self.readers.items()}
        self.capacity = {event: max(f.event_limit for f in fs) for event, fs in self.readers.items()}
        self.lists = tuple(f for f in aggregates if f.aggregate and f.aggregate.window_s is None and f.ragged)
        """The features that are lists of all events kept: ``of_lists`` reads them."""

    def of_lists(self, user: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Give one user's events, records by type, from the values of ``lists``, in any order.

        Raises:
            ValueError: lists of one event type are of different lengths, or one is missing.
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
            wanted = {name for name in dtype.names or () if name != SEQUENCE}
            lengths = {len(values) for values in fields.values()}
            if set(fields) != wanted or len(lengths) > 1:
                raise ValueError(
                    f"event {event}: expected the lists {sorted(wanted)} with equal lengths, got {sorted(fields)} with "
                    f"{sorted(lengths)} values"
                )
            count, at_s = lengths.pop(), fields.pop(AT_S)
            user_of = np.zeros(count, dtype=np.int64)
            events[event] = EventTable.from_columns(user_of, at_s, np.arange(count), fields, 1).records(dtype)
        return events


def _record_of(features: Sequence[Feature]) -> np.dtype[Any]:
    read: dict[str, np.dtype[Any]] = {}
    for feature in features:
        aggregate = feature.aggregate
        if aggregate is not None and aggregate.kind != "count" and aggregate.field != AT_S:
            read[aggregate.field] = np.dtype((feature.dtype, feature.shape))
    times: list[tuple[str, Any]] = [(AT_S, np.dtype("float64")), (SEQUENCE, np.dtype("int64"))]
    return np.dtype([*times, *sorted(read.items(), key=lambda named: named[0])])
