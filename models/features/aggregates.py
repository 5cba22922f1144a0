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
            raise ValueError(f"aggregate {self.kind} of {self.event} takes no max_events; drop it")
        if self.field == "sequence":
            raise ValueError(f"aggregate of {self.event}: sequence only orders events; take another field")
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


def as_of(
    feature: Aggregated, events: EventTable, user: NDArray[np.int64], now_s: NDArray[np.float64]
) -> Column:
    """Give the feature of Q users (Q,), rows of the table, at moments now_s (Q,): (Q, ...), or ragged."""
    aggregate = feature.aggregate
    assert aggregate is not None
    at_s = events.at_s
    start, end = events.offsets[user], events.offsets[user + 1]
    end = first_at_or_after(at_s, start, end, now_s)
    if aggregate.window_s is not None:
        start = first_at_or_after(at_s, start, end, now_s - aggregate.window_s)
    start = np.maximum(start, end - feature.event_limit)
    if feature.fresh_for_s is not None and len(at_s):
        stale = (end > start) & (now_s - at_s[np.maximum(end - 1, 0)] > feature.fresh_for_s)
        start = np.where(stale, end, start)
    return _taken(feature, aggregate, events.fields[aggregate.field], start, end)


def _taken(
    feature: Aggregated,
    aggregate: Aggregate,
    values: NDArray[Any],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
) -> Column:
    lengths = end - start
    if aggregate.kind == "last_values":
        return RaggedArray(_slices(values, start, lengths).astype(feature.dtype), offsets_of(lengths))
    default = feature.default_value()
    result = np.empty((len(start), *default.shape), dtype=feature.dtype)
    result[...] = default
    some = lengths > 0
    if not some.any():
        return result
    start, end, lengths = start[some], end[some], lengths[some]
    if aggregate.kind == "last":
        result[some] = values[end - 1]
    elif aggregate.kind == "count":
        result[some] = lengths
    else:
        # reduceat adds within a segment in an order that depends on its length alone.
        flat = _slices(values, start, lengths).astype(np.float64)
        total = np.add.reduceat(flat, offsets_of(lengths)[:-1], axis=0)
        counts = lengths.reshape(-1, *(1,) * (total.ndim - 1))
        result[some] = total if aggregate.kind == "sum" else total / counts
    return result


def _slices(values: NDArray[Any], start: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """Give values[start : start + length] of all slices end to end; a view where they are all there is."""
    offsets = offsets_of(lengths)
    if offsets[-1] == len(values) and np.array_equal(offsets[:-1][lengths > 0], start[lengths > 0]):
        return values
    return values.take(np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], lengths), axis=0)
