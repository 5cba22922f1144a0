"""User rows: one user's stored features in one group, as one compact value in a key-value store.

A row has these parts:

1. The group's hash, 8 bytes.
2. One packed record. It has the features with fixed shape, a time for each feature with a freshness limit, and one
   uint32 length per ragged feature and per event type.
3. The ragged features' values, end to end.
4. The newest events by type, as packed records, oldest first.

Each part is ordered by name, because the hash does not depend on the declaration order. A whole batch is decoded
without a Python object per feature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import FeatureMismatch
from models.features.aggregates import AsOf
from models.features.definition import Feature, FeatureSet
from models.features.events import AT_S, SEQUENCE, EventTable, inserted
from models.features.stored_events import StoredEvents
from models.ragged import Column, RaggedArray, offsets_of

KeyedGroup = Literal["user", "realtime"]
Row = bytes | memoryview
_HASH_BYTES = 8
_NEVER_S = -np.inf


def row_key(group: KeyedGroup, user: bytes) -> bytes:
    """Return the store's key for a user's row in a group.

    The braces keep all rows of a user on one node of a Redis cluster.
    """
    return b"{" + user + b"}/" + group.encode()


@dataclass(frozen=True)
class Decoded:
    """A batch's decoded rows.

    Attributes:
        columns: columns by name, "<group>.<name>".
        unreadable: indices of rows that could not be read. Their features have the defaults.
    """

    columns: dict[str, Column]
    unreadable: list[int]


class UserRowCodec:
    """Encode and decode one group's stored features."""

    def __init__(self, features: FeatureSet, group: KeyedGroup = "user") -> None:
        """Prepare the group's record layout.

        Prefixes in the record: "@" is a feature's time, "#" a ragged feature's length, "!" an event type's count.
        """
        declared = sorted(features.supplied(group), key=lambda feature: feature.name)
        self.group: KeyedGroup = group
        self.tag = bytes.fromhex(features.hash_of(group))[:_HASH_BYTES]
        plain = [f for f in declared if f.aggregate is None]
        self._plain = tuple(plain)
        self._fixed = tuple(f for f in plain if not f.ragged)
        self._timed = tuple(f for f in plain if f.fresh_for_s is not None)
        self.events = StoredEvents([f for f in declared if f.aggregate is not None])
        ragged = {f.name: np.dtype((f.dtype, f.shape)) for f in plain if f.ragged}
        self._limits = {f.name: f.max_length for f in plain if f.ragged}
        self._bodies = {
            **{f"#{n}": dtype for n, dtype in ragged.items()},
            **{f"!{n}": d for n, d in self.events.types.items()},
        }
        fields: list[tuple[str, Any]] = [(f.name, np.dtype((f.dtype, f.shape))) for f in self._fixed]
        fields += [(f"@{f.name}", np.dtype("float64")) for f in self._timed]
        fields += [(name, np.dtype("uint32")) for name in self._bodies]
        self._record = np.dtype(fields)
        self._head_bytes = _HASH_BYTES + self._record.itemsize
        default = np.zeros(1, dtype=self._record)
        for feature in self._fixed:
            default[feature.name] = feature.default_value()
        for feature in self._timed:
            default[f"@{feature.name}"] = _NEVER_S
        self.default_row = self.tag + default.tobytes()

    @property
    def stores_anything(self) -> bool:
        """Whether the group has a feature that is stored."""
        return self._record.itemsize > 0

    @property
    def loadable(self) -> tuple[Feature, ...]:
        """The features that can be loaded without a time: event lists, and plain features without ``fresh_for_s``."""
        return (*[f for f in self._plain if f.fresh_for_s is None], *self.events.lists)

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
        record = self._records(self.default_row[_HASH_BYTES:], 1).copy()
        for feature in self._fixed:
            if feature.name in user:
                record[feature.name][0] = user[feature.name]
        for feature in self._timed:
            if feature.name in user:
                record[f"@{feature.name}"] = _time_of(feature, at_s or {})
        return self._joined(record, self._bodies_of(user, events or {}))

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
        records = np.repeat(self._records(self.default_row[_HASH_BYTES:], 1), len(users))
        for name, (values, mask) in fixed.items():
            records[name][mask] = values
        if not self._bodies:
            heads, size = records.tobytes(), self._record.itemsize
            return [self.tag + heads[i * size : (i + 1) * size] for i in range(len(users))]
        return [
            self._joined(records[i : i + 1], self._bodies_of(user, user_events))
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
        elif self._read([row])[2]:
            raise FeatureMismatch(self.refusal(row))
        record = self._records(row[_HASH_BYTES : self._head_bytes], 1).copy()
        bodies, start = {}, self._head_bytes
        for name, dtype in self._bodies.items():
            count = int(record[name][0])
            bodies[name] = np.frombuffer(row, dtype.base, count * max(1, _size(dtype)), start)
            bodies[name] = bodies[name].reshape(count, *dtype.shape)
            start += count * dtype.itemsize
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
        return self._joined(record, bodies)

    def decode(self, values: Sequence[Row | None], now_s: NDArray[np.float64] | None = None) -> Decoded:
        """Decode B rows at the times ``now_s`` (B,), epoch seconds.

        A row that is None or unreadable gets the defaults. ``now_s`` is required if the group has aggregates or
        freshness limits.
        """
        rows, heads, unreadable = self._read(values)
        head, prefix = self._head_bytes, f"{self.group}."
        columns: dict[str, Column] = {prefix + f.name: heads[f.name].copy() for f in self._fixed}
        starts = [head] * len(rows)
        for name, dtype in self._bodies.items():
            lengths = heads[name].astype(np.int64)
            ends = [start + int(n) * dtype.itemsize for start, n in zip(starts, lengths, strict=True)]
            body = b"".join([row[a:b] for row, a, b in zip(rows, starts, ends, strict=True)])
            flat = np.frombuffer(body, dtype=dtype.base).reshape(-1, *dtype.shape)
            offsets, starts = offsets_of(lengths), ends
            if name[0] == "#":
                columns[prefix + name[1:]] = RaggedArray(flat, offsets)
                continue
            assert now_s is not None, f"now_s: required for the aggregates in group {self.group}"
            table = EventTable(offsets, {field: flat[field].copy() for field in dtype.names or ()})
            evaluate = AsOf(table, None, now_s)
            for feature in self.events.readers[name[1:]]:
                columns[feature.column] = evaluate(feature)
        for feature in self._timed:
            assert now_s is not None, f"now_s: required for {feature.column}, which has a freshness limit"
            value_at_s = heads[f"@{feature.name}"]
            columns[feature.column] = _fresh(feature, columns[feature.column], now_s - value_at_s)
        return Decoded(columns, unreadable)

    def refusal(self, row: Row) -> str:
        """Return a message that says why a row cannot be read, with the remedy."""
        return (
            f"a stored {self.group} row cannot be read: must be complete and have feature hash {self.tag.hex()}, got "
            f"{len(row)} bytes with {bytes(row[:_HASH_BYTES]).hex()}; load the store again with the current definitions"
        )

    def _read(self, values: Sequence[Row | None]) -> tuple[list[Row], NDArray[Any], list[int]]:
        """Return the rows, their records (B,), and the indices of unreadable rows, which become default rows."""
        default, tag, head = self.default_row, self.tag, self._head_bytes
        rows: list[Row] = [default if value is None else value for value in values]
        bad = [i for i, row in enumerate(rows) if row[:_HASH_BYTES] != tag or len(row) < head]
        for index in bad:
            rows[index] = default
        heads = self._records(b"".join([row[_HASH_BYTES:head] for row in rows]), len(rows))
        expected = np.full(len(rows), head, dtype=np.int64)
        for name, dtype in self._bodies.items():
            expected += heads[name].astype(np.int64) * dtype.itemsize
        wrong = np.flatnonzero(expected != np.array([len(row) for row in rows], dtype=np.int64)).tolist()
        if not wrong:
            return rows, heads, bad
        for index in wrong:
            rows[index] = default
        rows, heads, _ = self._read(rows)
        return rows, heads, sorted(bad + wrong)

    def _bodies_of(
        self, user: Mapping[str, NDArray[Any]], events: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        bodies: dict[str, NDArray[Any]] = {}
        for name, limit in self._limits.items():
            dtype = self._bodies[f"#{name}"]
            values = np.asarray(user.get(name, ()), dtype=dtype.base)
            bodies[f"#{name}"] = values.reshape(-1, *dtype.shape)[-limit:]
        for event, dtype in self.events.types.items():
            records = events.get(event, np.empty(0, dtype=dtype))
            bodies[f"!{event}"] = np.asarray(records, dtype=dtype)[-self.events.capacity[event] :]
        return bodies

    def _joined(self, record: NDArray[Any], bodies: Mapping[str, NDArray[Any]]) -> bytes:
        for name, values in bodies.items():
            record[name] = len(values)
        return b"".join((self.tag, record.tobytes(), *[bodies[name].tobytes() for name in self._bodies]))

    def _records(self, data: Row, count: int) -> NDArray[Any]:
        """Return the records in ``data``, empty if the group has no stored features."""
        if self._record.itemsize == 0:
            return np.zeros(count, dtype=self._record)
        return np.frombuffer(data, dtype=self._record)


def _size(dtype: np.dtype[Any]) -> int:
    return int(np.prod(dtype.shape, dtype=np.int64))


def _time_of(feature: Feature, at_s: Mapping[str, float]) -> float:
    if feature.name not in at_s:
        raise ValueError(
            f"at_s: has no time for {feature.column}, whose fresh_for_s requires a time; add the time in epoch seconds"
        )
    return at_s[feature.name]


def _fresh(feature: Feature, column: Column, age_s: NDArray[np.float64]) -> Column:
    assert feature.fresh_for_s is not None
    stale = age_s > feature.fresh_for_s
    if not stale.any():
        return column
    if isinstance(column, RaggedArray):
        lengths = np.where(stale, 0, np.diff(column.offsets))
        return RaggedArray(column.values[np.repeat(~stale, np.diff(column.offsets))], offsets_of(lengths))
    column[stale] = feature.default_value()
    return column
