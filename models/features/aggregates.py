"""Event-time aggregates: features computed from a user's events strictly before a point in time.

Training and serving run the same code, so both get the same bits. Training runs this code on a whole event table, for
many users and times. Serving runs it on the newest events in a batch's stored rows.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.features.events import EventTable, first_at_or_after
from models.ragged import Column, RaggedArray, offsets_of


class Aggregate(BaseModel):
    """An aggregate over a user's events of one type.

    The kinds are:

    - last_values: the newest values, oldest first, at most the feature's ``max_length``.
    - last: the newest value.
    - count, sum, mean: over the events in the window. Sums and means are computed in float64.

    Attributes:
        event: event type.
        field: event field that is aggregated. "at_s" is the event's time.
        window_s: use only events from the last ``window_s`` seconds. None: no limit.
        max_events: use at most this many events, the newest. This bounds the storage per user.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["last_values", "last", "count", "sum", "mean"]
    event: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    field: str = Field(default="at_s", pattern=r"^[a-z][a-z0-9_]*$")
    window_s: float | None = Field(default=None, gt=0)
    max_events: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _windows_are_bounded(self) -> Self:
        reduces = self.kind in {"count", "sum", "mean"}
        if reduces and (self.window_s is None or self.max_events is None):
            raise ValueError(f"aggregate {self.kind} of {self.event} needs window_s and max_events; set both")
        if not reduces and self.max_events is not None:
            raise ValueError(f"aggregate {self.kind} of {self.event} takes no max_events; remove max_events")
        if self.field == "sequence":
            raise ValueError(
                f"aggregate of {self.event}: cannot read the field sequence, which only orders events; use "
                f"another field"
            )
        return self


class Aggregated(Protocol):
    """The part of a ``Feature`` that an aggregate needs."""

    @property
    def aggregate(self) -> Aggregate | None:
        """The aggregate over the events."""
        ...

    @property
    def dtype(self) -> str:
        """Dtype of a value."""
        ...

    @property
    def fresh_for_s(self) -> float | None:
        """Maximum age of the newest event in seconds. If that event is older, the feature has its default."""
        ...

    @property
    def event_limit(self) -> int:
        """Maximum number of newest events that an aggregate reads."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a value."""
        ...

    @property
    def ragged(self) -> bool:
        """Whether the feature is a sequence of values."""
        ...

    def default_values(self, count: int) -> NDArray[Any]:
        """Return the value for a user without events, ``count`` times."""
        ...


class AsOf:
    """Aggregates for Q users, each at its own time. Work that several features share is done once."""

    def __init__(
        self, events: EventTable, user: NDArray[np.int64] | None, now_s: NDArray[np.float64]
    ) -> None:
        """Find each user's events before ``now_s``.

        Args:
            events: the events of all users.
            user: int64 (Q,), table rows. None: all users of the table, in order.
            now_s: float64 (Q,), epoch seconds.
        """
        self._events = events
        self._now_s = now_s
        starts, ends = events.offsets[:-1], events.offsets[1:]
        self._lengths: NDArray[np.int64] | None = None
        if user is None:
            self._lengths = ends - starts
            self._longest = max(self._lengths.tolist(), default=0)  # faster than numpy, for a few users
            self._last_s = events.at_s.max(initial=-np.inf)
        self._start, self._last = (starts, ends) if user is None else (starts[user], ends[user])
        self._end = self._first_at_or_after(self._start, self._last, now_s)
        self._slices: dict[tuple[float | None, int, float | None], _Slices] = {}

    def __call__(self, feature: Aggregated) -> Column:
        """Return a feature's column: (Q, ...), or ragged."""
        aggregate = feature.aggregate
        assert aggregate is not None
        key = (aggregate.window_s, feature.event_limit, feature.fresh_for_s)
        slices = self._slices.get(key)
        if slices is None:
            slices = self._slices[key] = self._slices_for(*key)
        return _reduce(feature, aggregate, self._events.fields[aggregate.field], slices)

    def _slices_for(self, window_s: float | None, limit: int, fresh_for_s: float | None) -> "_Slices":
        start, end, at_s = self._start, self._end, self._events.at_s
        if window_s is not None:
            start = self._first_at_or_after(start, end, self._now_s - window_s)
        if self._lengths is None or self._longest > limit:
            start = np.maximum(start, end - limit)
        if fresh_for_s is not None and len(at_s):
            stale = (end > start) & (self._now_s - at_s[np.maximum(end - 1, 0)] > fresh_for_s)
            start = np.where(stale, end, start)
        if start is end:
            return _Slices.none(start)
        if self._lengths is not None and start is self._start and end is self._last:
            return _Slices(start, end, self._lengths, self._events.offsets, None)
        return _Slices.of(start, end, len(at_s))

    def _first_at_or_after(
        self, start: NDArray[np.int64], end: NDArray[np.int64], moment_s: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        if self._lengths is None:
            return first_at_or_after(self._events.at_s, start, end, moment_s)
        # Usually all events of a batch are before the moment. Then one comparison replaces the search.
        if self._last_s < min(moment_s.tolist(), default=np.inf):
            return end
        # A batch has few events, so counting earlier events is faster than bisection. The result is the same.
        offsets = self._events.offsets
        before = offsets_of(self._events.at_s < np.repeat(moment_s, self._lengths))[offsets]
        return np.asarray(np.minimum(np.maximum(offsets[:-1] + before[1:] - before[:-1], start), end))


@dataclass(frozen=True, slots=True)
class _Slices:
    """Q slices [start, end) of a table.

    Attributes:
        lengths: int64 (Q,).
        offsets: int64 (Q + 1,), the slices laid end to end.
        positions: the events in the slices. None: the slices cover the table.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    lengths: NDArray[np.int64]
    offsets: NDArray[np.int64]
    positions: NDArray[np.int64] | None

    @classmethod
    def none(cls, start: NDArray[np.int64]) -> Self:
        """Return empty slices."""
        offsets = np.zeros(len(start) + 1, dtype=np.int64)
        return cls(start, start, offsets[1:], offsets, offsets[:0])

    @classmethod
    def of(cls, start: NDArray[np.int64], end: NDArray[np.int64], total: int) -> Self:
        """Return slices of a table with ``total`` events."""
        lengths = end - start
        offsets = offsets_of(lengths)
        count = int(offsets[-1])
        nonempty = lengths > 0
        covers_all = count == total and np.array_equal(offsets[:-1][nonempty], start[nonempty])
        positions = None if covers_all else np.arange(count) + np.repeat(start - offsets[:-1], lengths)
        return cls(start, end, lengths, offsets, positions)

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the slices of ``values`` end to end: ``values`` itself if the slices cover it."""
        return values if self.positions is None else values.take(self.positions, axis=0)


def as_of(
    feature: Aggregated, events: EventTable, user: NDArray[np.int64], now_s: NDArray[np.float64]
) -> Column:
    """Return a feature's column for Q users: (Q, ...), or ragged.

    Args:
        feature: has an aggregate.
        events: the events of all users.
        user: int64 (Q,), table rows.
        now_s: float64 (Q,), epoch seconds. Only earlier events count.
    """
    return AsOf(events, user, now_s)(feature)


def without_events(feature: Aggregated, users: int) -> Column:
    """Return the column of users without events."""
    if feature.ragged:
        empty = np.empty((0, *feature.shape), dtype=feature.dtype)
        return RaggedArray(empty, np.zeros(users + 1, dtype=np.int64))
    return feature.default_values(users)


def _reduce(feature: Aggregated, aggregate: Aggregate, values: NDArray[Any], slices: _Slices) -> Column:
    if aggregate.kind == "last_values":
        return RaggedArray(np.ascontiguousarray(slices.gather(values), feature.dtype), slices.offsets)
    lengths = slices.lengths
    result = np.asarray(without_events(feature, len(lengths)))
    if not slices.offsets[-1]:
        return result
    nonempty = lengths > 0
    if aggregate.kind == "last":
        result[nonempty] = values[slices.end[nonempty] - 1]
    elif aggregate.kind == "count":
        result[nonempty] = lengths[nonempty]
    else:
        # reduceat adds in an order that depends only on the segment's length, so the bits are reproducible.
        flat = slices.gather(values).astype(np.float64)
        total = np.add.reduceat(flat, slices.offsets[:-1][nonempty], axis=0)
        counts = lengths[nonempty].reshape(-1, *(1,) * (total.ndim - 1))
        result[nonempty] = total if aggregate.kind == "sum" else total / counts
    return result
