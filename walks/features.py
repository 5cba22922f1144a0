"""The features of the walks pipeline: one declaration for training, serving and the user store."""

from models.features.aggregates import Aggregate
from models.features.definition import Feature, FeatureSet
from models.features.transforms import Age
from walks.attributes import ATTRIBUTES, EMBEDDING
from walks.people import PROFILE

HISTORY = 50
"""Most ratings of a user that a model sees; the newest are kept."""

CENTRE = (60.1716, 24.9443)
"""Where a caller without a position is taken to be: the railway station square, lat, lon degrees."""

PRESENT_S = 1_538_265_600.0
"""The end of the simulated period, 2018-09-30 00:00 local time written as if it were UTC: where the weather ends."""

FEATURES = FeatureSet(
    features=(
        Feature(
            name="attributes",
            group="item",
            shape=(len(ATTRIBUTES),),
            description="; ".join(f"{a.name}: {a.what}" for a in ATTRIBUTES),
        ),
        Feature(
            name="start", group="item", shape=(2,), description="where the route starts: lat, lon degrees"
        ),
        Feature(
            name="embedding",
            group="item",
            shape=(EMBEDDING,),
            description="unit vector for diversity: attributes beside a hashed bag of streets",
        ),
        Feature(
            name="popularity",
            group="item",
            default=0.5,
            description="smoothed mean of the simulated ratings of the training period, 0 to 1",
        ),
        Feature(
            name="profile",
            group="user",
            shape=(len(PROFILE),),
            default=(0.0,) * 6 + (0.8, 0.35, 0.0, 0.0),
            description=f"declared by the user: {', '.join(PROFILE)}",
        ),
        Feature(
            name="history",
            group="user",
            dtype="int64",
            ragged=True,
            max_length=HISTORY,
            aggregate=Aggregate(kind="last_values", event="rating", field="key"),
            description="keys of the routes rated, oldest first",
        ),
        Feature(
            name="history_rating",
            group="user",
            ragged=True,
            max_length=HISTORY,
            aggregate=Aggregate(kind="last_values", event="rating", field="rating"),
            description="rating of each, 0 to 1",
        ),
        Feature(
            name="history_at_s",
            group="user",
            dtype="float64",
            ragged=True,
            max_length=HISTORY,
            aggregate=Aggregate(kind="last_values", event="rating"),
            description="when each rating was given, epoch seconds",
        ),
        Feature(
            name="position",
            group="context",
            shape=(2,),
            default=CENTRE,
            minimum=-180.0,
            maximum=180.0,
            description="where the user is: lat, lon degrees",
        ),
        Feature(
            name="hour", group="context", default=12.0, minimum=0.0, maximum=24.0, description="local hour"
        ),
        Feature(
            name="weekday", group="context", default=2.0, minimum=0.0, maximum=6.0, description="0 is Monday"
        ),
        Feature(
            name="temperature_c",
            group="context",
            default=12.0,
            minimum=-60.0,
            maximum=60.0,
            description="air temperature, degrees Celsius",
        ),
        Feature(
            name="rain_mm",
            group="context",
            default=0.0,
            minimum=0.0,
            maximum=300.0,
            description="rain in the last hour, mm",
        ),
        Feature(
            name="minutes",
            group="context",
            default=50.0,
            minimum=1.0,
            maximum=1440.0,
            description="time the user has, minutes",
        ),
        Feature(
            name="now_s",
            group="context",
            dtype="float64",
            default=PRESENT_S,
            minimum=0.0,
            maximum=1e11,
            description="the moment of the request, epoch seconds; by default the end of the simulated period",
        ),
        Feature(
            name="history_age_days",
            group="user",
            ragged=True,
            max_length=HISTORY,
            transform=Age(of="user.history_at_s", unit_s=86_400.0),
            description="days since each rating was given",
        ),
    )
)
