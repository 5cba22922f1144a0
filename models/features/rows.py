"""User rows: one user's stored features in one group, as one compact value in a key-value store.

``row_layout`` describes the bytes, and ``row_decoder`` reads them.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import FeatureMismatch
from models.features.definition import Feature, FeatureSet
from models.features.events import AT_S, SEQUENCE, inserted
from models.features.freshness import time_of
from models.features.row_decoder import Decoded, Row, RowDecoder
from models.features.row_layout import RowLayout

KeyedGroup = Literal["user", "realtime"]


def row_key(group: KeyedGroup, user: bytes) -> bytes:
    """Return the store's key for a user's row in a group.

    The braces keep all rows of a user on one node of a Redis cluster.
    """
    return b"{" + user + b"}/" + group.encode()


class UserRowCodec:
    """Encode and decode one group's stored features."""

    def __init__(self, features: FeatureSet, group: KeyedGroup = "user") -> None:
        """Prepare the layout of the group's rows."""
        self.group: KeyedGroup = group
        self._layout = RowLayout(features, group)
        self.tag = self._layout.tag
        self.events = self._layout.events
        self.default_row = self._layout.default_row
        self.decoder = RowDecoder(self._layout)

    @property
    def stores_anything(self) -> bool:
        """Whether the group has a feature that is stored."""
        return self._layout.record.itemsize > 0

    @property
    def loadable(self) -> tuple[Feature, ...]:
        """The features that can be loaded without a time: event lists, and plain features without ``fresh_for_s``."""
        return (*[f for f in self._layout.plain if f.fresh_for_s is None], *self.events.lists)

    def encode(
        self,
        user: Mapping[str, NDArray[Any]],
        *,
        events: Mapping[str, NDArray[Any]] | None = None,
        at_s: Mapping[str, float] | None = None,
    ) -> bytes:
        """Encode one user.

        A missing feature gets its default. Sequences and event lists that are too long keep their newest values.

        Args:
            user: values by feature name.
            events: records by event type, with the dtypes in ``events.types``, sorted by time and sequence.
            at_s: epoch seconds by feature name, for features with a freshness limit.

        Raises:
            ValueError: a feature with a freshness limit has no time.
        """
        layout = self._layout
        record = layout.default_records().copy()
        for feature in layout.fixed:
            if feature.name in user:
                record[feature.name][0] = user[feature.name]
        for feature in layout.timed:
            if feature.name in user:
                record[f"@{feature.name}"] = time_of(feature, at_s or {})
        return layout.joined(record, layout.bodies_of(user, events or {}))

    def encode_many(
        self,
        fixed: Mapping[str, tuple[NDArray[Any], NDArray[np.bool_]]],
        users: Sequence[Mapping[str, NDArray[Any]]],
        events: Sequence[Mapping[str, NDArray[Any]]],
    ) -> list[bytes]:
        """Encode B users as ``encode`` does, but features with fixed shape one column at a time.

        Args:
            fixed: values (G, ...) and a mask (B,) of the G users with values, by feature name. Features with a
                freshness limit are not supported.
            users: each user's ragged features, by name.
            events: each user's records, by event type.
        """
        layout = self._layout
        records = np.repeat(layout.default_records(), len(users))
        for name, (values, mask) in fixed.items():
            records[name][mask] = values
        if not layout.bodies:
            heads, size = records.tobytes(), layout.record.itemsize
            return [self.tag + heads[i * size : (i + 1) * size] for i in range(len(users))]
        return [
            layout.joined(records[i : i + 1], layout.bodies_of(user, user_events))
            for i, (user, user_events) in enumerate(zip(users, events, strict=True))
        ]

    def with_event(
        self, row: Row | None, event: str, at_s: float, sequence: int, fields: Mapping[str, Any]
    ) -> bytes:
        """Add an event to a user's row, and return the new row.

        Events may arrive in any order. Event types and fields that no feature reads are not stored.

        Raises:
            FeatureMismatch: the row was written with other definitions.
            ValueError: a field that features read is missing or not finite.
        """
        if event not in self.events.types:
            return bytes(self.default_row if row is None else row)
        if row is None:
            row = self.default_row
        elif self._layout.read([row]).unreadable:
            raise FeatureMismatch(self.refusal(row))
        record, bodies = self._layout.split(row)
        new_event = np.zeros(1, dtype=self.events.types[event])
        for name in self.events.types[event].names or ():
            value = {**fields, AT_S: at_s, SEQUENCE: sequence}.get(name)
            if value is None:
                raise ValueError(
                    f"event {event}: field {name!r} is missing, but features read it; send the field"
                )
            new_event[name] = value
            if not np.isfinite(new_event[name]).all():
                expected = "epoch seconds" if name == AT_S else "finite"
                raise ValueError(f"event {event}: {name} must be {expected}, got {value}")
        bodies[f"!{event}"] = inserted(bodies[f"!{event}"], new_event, self.events.capacity[event])
        return self._layout.joined(record, bodies)

    def decode(self, values: Sequence[Row | None], now_s: NDArray[np.float64] | None = None) -> Decoded:
        """Decode all features of B rows, as ``RowDecoder`` does."""
        return self.decoder(values, now_s)

    def decoder_of(self, columns: Container[str]) -> RowDecoder:
        """Return a decoder for the features whose column is in ``columns``."""
        return RowDecoder(self._layout, columns)

    def refusal(self, row: Row) -> str:
        """Return a message that says why a row cannot be read, with the remedy."""
        return self._layout.refusal(row)
