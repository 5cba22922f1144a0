"""Event-time aggregates: what a user's events say as of a moment, strictly before it.

One function evaluates them: over a whole event table for many (user, moment) pairs when training data is made,
and over the newest events in the stored rows of a batch when it is served. So both give the same bits.
"""

from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.features.events import EventTable, first_at_or_after
from models.ragged import Column, RaggedArray, offsets_of


class Aggregate(BaseModel):
    """What is taken of a user's events of one type.

    last_values: the feature's ``max_length`` newest values, oldest first. last: the newest. count, sum, mean: of those
    in the window, in float64, of the ``max_events`` newest at most; that bounds what is stored a user.
    field: of the event; "at_s" is its time. window_s: only events of so many seconds before the moment count.
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
            raise ValueError(f"aggregate {self.kind} of {self.event} needs window_s and max_events; add them")
        if not reduces and self.max_events is not None:
            raise ValueError(f"aggregate {self.kind} of {self.event} takes no max_events; remove it")
        if self.field == "sequence":
            raise ValueError(
                f"aggregate of {self.event}: field sequence only orders events; use another field"
            )
        return self


class Aggregated(Protocol):
    """A feature that has an aggregate (``Feature``)."""

    @property
    def aggregate(self) -> Aggregate | None:
        """What is taken of the events."""
        ...

    @property
    def dtype(self) -> str:
        """Of a value."""
        ...

    @property
    def fresh_for_s(self) -> float | None:
        """Nothing newer than this: the default."""
        ...

    @property
    def event_limit(self) -> int:
        """How many of the newest events can matter."""
        ...

    def default_value(self) -> NDArray[Any]:
        """What stands where there is no event."""
        ...


class AsOf:
    """Q users (Q,), rows of an event table, at moments now_s (Q,); what several features share is worked out once."""

    def __init__(
        self, events: EventTable, user: NDArray[np.int64] | None, now_s: NDArray[np.float64]
    ) -> None:
        """user: None for all of the table's users in their order."""
        self._events = events
        self._now_s = now_s
        starts, ends = events.offsets[:-1], events.offsets[1:]
        self._lengths = ends - starts if user is None else None
        self._start, end = (starts, ends) if user is None else (starts[user], ends[user])
        self._end = self._first_at_or_after(self._start, end, now_s)
        self._slices: dict[tuple[float | None, int, float | None], _Slices] = {}

    def __call__(self, feature: Aggregated) -> Column:
        """Give the feature's column: (Q, ...), or ragged."""
        aggregate = feature.aggregate
        assert aggregate is not None
        key = (aggregate.window_s, feature.event_limit, feature.fresh_for_s)
        slices = self._slices.get(key)
        if slices is None:
            slices = self._slices[key] = self._sliced(*key)
        return _taken(feature, aggregate, self._events.fields[aggregate.field], slices)

    def _sliced(self, window_s: float | None, limit: int, fresh_for_s: float | None) -> "_Slices":
        start, end, at_s = self._start, self._end, self._events.at_s
        if window_s is not None:
            start = self._first_at_or_after(start, end, self._now_s - window_s)
        start = np.maximum(start, end - limit)
        if fresh_for_s is not None and len(at_s):
            stale = (end > start) & (self._now_s - at_s[np.maximum(end - 1, 0)] > fresh_for_s)
            start = np.where(stale, end, start)
        return _Slices(start, end, len(at_s))

    def _first_at_or_after(
        self, start: NDArray[np.int64], end: NDArray[np.int64], moment_s: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        if self._lengths is None:
            return first_at_or_after(self._events.at_s, start, end, moment_s)
        # A batch's few events: counting those before is faster than bisecting, and finds the same places.
        offsets = self._events.offsets
        before = offsets_of(self._events.at_s < np.repeat(moment_s, self._lengths))[offsets]
        return np.asarray(np.minimum(np.maximum(offsets[:-1] + before[1:] - before[:-1], start), end))


class _Slices:
    """[start, end) of Q slices of a table of ``total`` events."""

    def __init__(self, start: NDArray[np.int64], end: NDArray[np.int64], total: int) -> None:
        self.start, self.end = start, end
        self.lengths = end - start
        self.offsets = offsets_of(self.lengths)
        count = int(self.offsets[-1])
        some = self.lengths > 0
        whole = count == total and np.array_equal(self.offsets[:-1][some], start[some])
        self._positions = (
            None if whole else np.arange(count) + np.repeat(start - self.offsets[:-1], self.lengths)
        )

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give the slices of ``values`` end to end; a view where they are all there is."""
        return values if self._positions is None else values.take(self._positions, axis=0)


def as_of(
    feature: Aggregated, events: EventTable, user: NDArray[np.int64], now_s: NDArray[np.float64]
) -> Column:
    """Give the feature of Q users (Q,), rows of the table, at moments now_s (Q,): (Q, ...), or ragged."""
    return AsOf(events, user, now_s)(feature)


def _taken(feature: Aggregated, aggregate: Aggregate, values: NDArray[Any], slices: _Slices) -> Column:
    if aggregate.kind == "last_values":
        return RaggedArray(slices.gather(values).astype(feature.dtype, copy=False), slices.offsets)
    default = feature.default_value()
    lengths = slices.lengths
    result = np.empty((len(lengths), *default.shape), dtype=feature.dtype)
    result[...] = default
    some = lengths > 0
    if not some.any():
        return result
    if aggregate.kind == "last":
        result[some] = values[slices.end[some] - 1]
    elif aggregate.kind == "count":
        result[some] = lengths[some]
    else:
        # reduceat adds within a segment in an order that depends on its length alone.
        flat = slices.gather(values).astype(np.float64)
        total = np.add.reduceat(flat, slices.offsets[:-1][some], axis=0)
        counts = lengths[some].reshape(-1, *(1,) * (total.ndim - 1))
        result[some] = total if aggregate.kind == "sum" else total / counts
    return result
