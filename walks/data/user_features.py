"""User feature definitions: profile, history and realtime."""

from collections.abc import Sequence

from models.features.aggregates import Aggregate
from models.features.definition import Feature
from models.features.transforms import Age
from walks.simulation.people import PROFILE
from walks.simulation.weather import DAY_S, HOUR_S

CENTRE = (60.1716, 24.9443)
"""The position that is assumed if a caller sends none: the railway station square, lat, lon degrees."""
HISTORY = 50
"""A model sees at most this many of a user's ratings, the newest."""
OPENED, SHOWN, TRACK = 30, 15, 6


def _past(name: str, event: str, field: str, length: int, description: str, dtype: str = "int64") -> Feature:
    return Feature.model_validate(
        {
            "name": name,
            "group": "user",
            "dtype": dtype,
            "ragged": True,
            "max_length": length,
            "aggregate": Aggregate(kind="last_values", event=event, field=field),
            "description": description,
        }
    )


def _times(name: str, event: str, length: int) -> Sequence[Feature]:
    """Return two features for past events: their times, and their ages when the request arrives."""
    return (
        _past(f"{name}_at_s", event, "at_s", length, "time of each: epoch seconds", "float64"),
        Feature(
            name=f"{name}_age_days",
            group="user",
            ragged=True,
            max_length=length,
            transform=Age(of=f"user.{name}_at_s", unit_s=DAY_S),
            description="age of each: days",
        ),
    )


USER_FEATURES = (
    Feature(
        name="profile",
        group="user",
        shape=(len(PROFILE),),
        default=(0.0,) * 6 + (0.8, 0.35, 0.0, 0.0),
        description=f"declared by the user: {', '.join(PROFILE)}",
    ),
    _past("history", "rating", "key", HISTORY, "keys of the routes rated, oldest first"),
    _past("history_rating", "rating", "rating", HISTORY, "rating of each, 0 to 1", "float32"),
    *_times("history", "rating", HISTORY),
    _past("opened", "open", "key", OPENED, "keys of the recommendations opened, oldest first"),
    *_times("opened", "open", OPENED),
    _past("shown", "shown", "key", SHOWN, "keys of the recommendations at the top of lists, oldest first"),
    *_times("shown", "shown", SHOWN),
    Feature(
        name="mean_rating",
        group="user",
        default=0.6,
        aggregate=Aggregate(
            kind="mean", event="rating", field="rating", window_s=180 * DAY_S, max_events=HISTORY
        ),
        description="mean rating given in the last 180 days, of the newest 50",
    ),
)
REALTIME_FEATURES = (
    Feature(
        name="track",
        group="realtime",
        shape=(2,),
        ragged=True,
        max_length=TRACK,
        aggregate=Aggregate(kind="last_values", event="position", field="position", window_s=2 * HOUR_S),
        description="positions reported in the last two hours, oldest first: lat, lon degrees",
    ),
    Feature(
        name="track_at_s",
        group="realtime",
        dtype="float64",
        ragged=True,
        max_length=TRACK,
        aggregate=Aggregate(kind="last_values", event="position", window_s=2 * HOUR_S),
        description="time of each report: epoch seconds",
    ),
    Feature(
        name="track_age_min",
        group="realtime",
        ragged=True,
        max_length=TRACK,
        transform=Age(of="realtime.track_at_s", unit_s=60.0),
        description="age of each report: minutes",
    ),
    Feature(
        name="came_from",
        group="realtime",
        shape=(2,),
        default=CENTRE,
        aggregate=Aggregate(
            kind="mean", event="position", field="position", window_s=HOUR_S, max_events=TRACK
        ),
        description="mean position of the last hour: lat, lon degrees",
    ),
    Feature(
        name="positions",
        group="realtime",
        aggregate=Aggregate(kind="count", event="position", window_s=HOUR_S, max_events=TRACK),
        description="number of positions reported in the last hour. If it is 0, came_from is the default",
    ),
)
