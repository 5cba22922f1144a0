"""A few users' random events in arrival order, with equal times, late events and repeated events."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.features.aggregates import Aggregate
from models.features.definition import Feature, FeatureSet
from models.features.events import EventTable

USERS = 3
NOW = Feature(name="now_s", group="context", dtype="float64")


def aggregated(name: str, kind: str, field: str, **more: Any) -> Feature:
    """Return a feature over the event "rating".

    Arguments that Aggregate does not have go to the feature.
    """
    own = {key: more.pop(key) for key in ("window_s", "max_events") if key in more}
    aggregate = Aggregate.model_validate({"kind": kind, "event": "rating", "field": field, **own})
    return Feature.model_validate({"name": name, "group": "user", "aggregate": aggregate, **more})


FEATURES = FeatureSet(
    features=(
        Feature(name="pace", group="user", default=5.0),
        aggregated("keys", "last_values", "key", dtype="int64", ragged=True, max_length=4),
        aggregated("times", "last_values", "at_s", dtype="float64", ragged=True, max_length=4),
        aggregated("recent", "last_values", "key", dtype="int64", ragged=True, max_length=3, window_s=3.0),
        aggregated("last", "last", "value", default=-1.0, fresh_for_s=4.0),
        aggregated("place", "last", "place", shape=(2,), default=(9.0, 8.0)),
        aggregated("count", "count", "at_s", dtype="int32", window_s=2.5, max_events=5),
        aggregated("sum", "sum", "value", window_s=6.0, max_events=20),
        aggregated("mean", "mean", "value", window_s=3.0, max_events=3, default=0.5),
        aggregated("centre", "mean", "place", shape=(2,), window_s=8.0, max_events=12),
        NOW,
    )
)
AGGREGATES = tuple(f for f in FEATURES.group("user") if f.aggregate is not None)


@dataclass(frozen=True)
class Arrivals:
    """T events in arrival order.

    All arrays are (T,), except ``place`` (T, 2).
    """

    user: NDArray[np.int64]
    at_s: NDArray[np.float64]
    sequence: NDArray[np.int64]
    fields: dict[str, NDArray[Any]]

    def table(self) -> EventTable:
        """Return the sorted table from which training data is made."""
        return EventTable.from_columns(self.user, self.at_s, self.sequence, self.fields, USERS)

    def take(self, which: NDArray[Any]) -> "Arrivals":
        """Return the selected events, in that order."""
        fields = {name: values[which] for name, values in self.fields.items()}
        return Arrivals(self.user[which], self.at_s[which], self.sequence[which], fields)

    def fields_of(self, index: int) -> dict[str, Any]:
        """Return one event's fields."""
        return {name: values[index] for name, values in self.fields.items()}


@st.composite
def arrivals(draw: st.DrawFn) -> Arrivals:
    """Draw up to 40 events on a coarse clock in any order.

    Some arrive twice.
    """
    count = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    latest = draw(st.sampled_from([1, 4, 24]))
    events = Arrivals(
        user=random.integers(0, USERS, count),
        at_s=np.array(1.5e9 + 0.5 * random.integers(0, latest + 1, count), dtype=np.float64),
        sequence=random.permutation(count),
        fields={
            "key": random.integers(0, 2**62, count),
            "value": random.normal(size=count).astype(np.float32),
            "place": (1e3 * random.normal(size=(count, 2))).astype(np.float32),
        },
    )
    twice = np.concatenate([np.arange(count), np.flatnonzero(random.random(count) < 0.2)])
    return events.take(random.permutation(twice))


@st.composite
def moments(draw: st.DrawFn) -> float:
    """Draw a time near the events, often exactly an event's time."""
    return 1.5e9 + draw(st.integers(-1, 30)) * 0.5 + draw(st.sampled_from([0.0, 0.0, 0.25]))
