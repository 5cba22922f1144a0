"""The bytes of a user row: which part of a row has which feature.

A row has these parts:

1. The group's hash, 8 bytes.
2. One packed record. It has the features with fixed shape, a time for each feature with a freshness limit, and one
   uint32 length per ragged feature and per event type.
3. The ragged features' values, end to end.
4. The newest events by type, as packed records, oldest first.

Each part is ordered by name, because the hash does not depend on the declaration order. Names in the record begin with
"@" for a feature's time, "#" for a ragged feature's length, and "!" for an event type's count.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import mul
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.features.definition import FeatureSet, Group
from models.features.stored_events import StoredEvents

HASH_BYTES = 8
_NEVER_S = -np.inf


class ReadRows(NamedTuple):
    """B rows that can be decoded.

    Attributes:
        rows: the rows. Unreadable ones are replaced by the default row.
        ends: for each row the position at which its head and each of its bodies end.
        unreadable: indices of unreadable rows.
    """

    rows: list[bytes | memoryview]
    ends: list[list[int]]
    unreadable: list[int]


class RowLayout:
    """The layout of one group's rows.

    Attributes:
        tag: the group's hash, with which each row begins.
        plain: the stored features without an aggregate.
        fixed: those of them with a fixed shape.
        timed: those of them with a freshness limit.
        events: the events that aggregates read.
        bodies: dtypes of the values after the record, by name in the record.
        record: dtype of the record.
        head_bytes: length of hash and record together.
        default_row: the row of a user without values.
    """

    def __init__(self, features: FeatureSet, group: Group) -> None:
        """Lay out a group's stored features."""
        declared = sorted(features.supplied(group), key=lambda feature: feature.name)
        self.group = group
        self.tag = bytes.fromhex(features.hash_of(group))[:HASH_BYTES]
        plain = [f for f in declared if f.aggregate is None]
        self.plain = tuple(plain)
        self.fixed = tuple(f for f in plain if not f.ragged)
        self.timed = tuple(f for f in plain if f.fresh_for_s is not None)
        self.events = StoredEvents([f for f in declared if f.aggregate is not None])
        ragged = {f.name: np.dtype((f.dtype, f.shape)) for f in plain if f.ragged}
        self._limits = {f.name: f.max_length for f in plain if f.ragged}
        self.bodies = {
            **{f"#{n}": dtype for n, dtype in ragged.items()},
            **{f"!{n}": d for n, d in self.events.types.items()},
        }
        fields: list[tuple[str, Any]] = [(f.name, np.dtype((f.dtype, f.shape))) for f in self.fixed]
        fields += [(f"@{f.name}", np.dtype("float64")) for f in self.timed]
        fields += [(name, np.dtype("uint32")) for name in self.bodies]
        self.record = np.dtype(fields)
        self.head_bytes = HASH_BYTES + self.record.itemsize
        self._body_bytes = [dtype.itemsize for dtype in self.bodies.values()]
        self._unpack = Struct(f"={len(self.bodies)}I").unpack_from  # the lengths are the record's last fields
        default = np.zeros(1, dtype=self.record)
        for feature in self.fixed:
            default[feature.name] = feature.default_value()
        for feature in self.timed:
            default[f"@{feature.name}"] = _NEVER_S
        self.default_row = self.tag + default.tobytes()

    def default_records(self) -> NDArray[Any]:
        """Return the default row's record, (1,). It cannot be written to."""
        return self._records(self.default_row[HASH_BYTES:], 1)

    def bodies_of(
        self, user: Mapping[str, NDArray[Any]], events: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return a user's ragged values and events by name in the record, the newest that fit."""
        bodies: dict[str, NDArray[Any]] = {}
        for name, limit in self._limits.items():
            dtype = self.bodies[f"#{name}"]
            values = np.asarray(user.get(name, ()), dtype=dtype.base)
            bodies[f"#{name}"] = values.reshape(-1, *dtype.shape)[-limit:]
        for event, dtype in self.events.types.items():
            records = events.get(event, np.empty(0, dtype=dtype))
            bodies[f"!{event}"] = np.asarray(records, dtype=dtype)[-self.events.capacity[event] :]
        return bodies

    def joined(self, record: NDArray[Any], bodies: Mapping[str, NDArray[Any]]) -> bytes:
        """Return the row with this record (1,) and these bodies. Their lengths are put into the record."""
        for name, values in bodies.items():
            record[name] = len(values)
        return b"".join((self.tag, record.tobytes(), *[bodies[name].tobytes() for name in self.bodies]))

    def split(self, row: bytes | memoryview) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Return a readable row's record (1,), which can be changed, and its bodies."""
        record = self._records(row[HASH_BYTES : self.head_bytes], 1).copy()
        bodies, start = {}, self.head_bytes
        for name, dtype in self.bodies.items():
            count = int(record[name][0])
            bodies[name] = np.frombuffer(row, dtype.base, count * max(1, _size(dtype)), start)
            bodies[name] = bodies[name].reshape(count, *dtype.shape)
            start += count * dtype.itemsize
        return record, bodies

    def read(self, values: Sequence[bytes | memoryview | None]) -> ReadRows:
        """Read the heads of B rows.

        The lengths are unpacked row by row, because numpy's fixed cost is higher for the few rows of a batch: 4 us
        instead of 1 us for one row.
        """
        default, tag, head = self.default_row, self.tag, self.head_bytes
        unpack, first, sizes = self._unpack, head - 4 * len(self.bodies), self._body_bytes
        rows: list[bytes | memoryview] = []
        ends: list[list[int]] = []
        unreadable: list[int] = []
        for index, value in enumerate(values):
            row = default if value is None else value
            own_ends = None
            if row[:HASH_BYTES] == tag and len(row) >= head:
                own_ends = list(accumulate(map(mul, unpack(row, first), sizes), initial=head))
            if own_ends is None or own_ends[-1] != len(row):
                unreadable.append(index)
                row, own_ends = default, [head] * (len(sizes) + 1)
            rows.append(row)
            ends.append(own_ends)
        return ReadRows(rows, ends, unreadable)

    def heads(self, rows: Sequence[bytes | memoryview]) -> NDArray[Any]:
        """Return the records (B,) of readable rows."""
        return self._records(b"".join([row[HASH_BYTES : self.head_bytes] for row in rows]), len(rows))

    def refusal(self, row: bytes | memoryview) -> str:
        """Return a message that says why a row cannot be read, with the remedy."""
        return (
            f"a stored {self.group} row cannot be read: must be complete and have feature hash {self.tag.hex()}, got "
            f"{len(row)} bytes with {bytes(row[:HASH_BYTES]).hex()}; load the store again with the current definitions"
        )

    def _records(self, data: bytes | memoryview, count: int) -> NDArray[Any]:
        """Return the records in ``data``, empty if the group has no stored features."""
        if self.record.itemsize == 0:
            return np.zeros(count, dtype=self.record)
        return np.frombuffer(data, dtype=self.record)


def _size(dtype: np.dtype[Any]) -> int:
    return int(np.prod(dtype.shape, dtype=np.int64))
