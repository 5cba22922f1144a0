"""The walks pipeline's features: one declaration for training, serving, the stores and the overlay.

Aggregates read four event types: "rating" (key, rating), "open" (key), "shown" (key) and "position" (position). A key
is a route's item key.
"""

from models.features.definition import Feature, FeatureSet
from models.features.transforms import NOW, Cycle
from walks.data.user_features import CENTRE, REALTIME_FEATURES, USER_FEATURES
from walks.routes.attributes import ATTRIBUTES
from walks.simulation.weather import DAY_S, HOUR_S, PRESENT_S

EMBEDDING, NEWS_EMBEDDING = 48, 16
FORECAST_H = 3
NO_NEWS_H = 240.0
"""The news age in hours for a cell without news."""

_FRESH_S = 3 * HOUR_S

_ITEM = (
    Feature(
        name="attributes",
        group="item",
        shape=(len(ATTRIBUTES),),
        description=", ".join(f"{a.name}: {a.what}" for a in ATTRIBUTES),
    ),
    Feature(name="start", group="item", shape=(2,), description="where the route starts: lat, lon degrees"),
    Feature(name="end", group="item", shape=(2,), description="where the route ends: lat, lon degrees"),
    Feature(
        name="embedding",
        group="item",
        shape=(EMBEDDING,),
        description="unit vector: MiniLM's embedding of the route's summary, reduced by principal components",
    ),
    Feature(
        name="popularity",
        group="item",
        default=0.5,
        description="smoothed mean of the simulated ratings in the training period, 0 to 1",
    ),
)


NEXT_EVENT_POSITION = Feature(
    name="next_event_position",
    group="context",
    shape=(2,),
    default=CENTRE,
    minimum=(-90.0, -180.0),
    maximum=(90.0, 180.0),
    description="where the next appointment is: lat, lon degrees. The default if there is none",
)

_CONTEXT = (
    Feature(
        name="position",
        group="context",
        shape=(2,),
        default=CENTRE,
        minimum=(-90.0, -180.0),
        maximum=(90.0, 180.0),
        description="where the user is: lat, lon degrees",
    ),
    Feature(
        name="now_s",
        group="context",
        dtype="float64",
        default=PRESENT_S,
        minimum=0.0,
        maximum=4e9,
        description="the request's time: epoch seconds on the city's clock. Default: the simulated present",
    ),
    Feature(
        name="hour",
        group="context",
        transform=Cycle(of=NOW, period=DAY_S, unit=HOUR_S),
        description="local hour, 0 to 24",
    ),
    Feature(
        name="weekday",
        group="context",
        transform=Cycle(of=NOW, period=7 * DAY_S, offset=3 * DAY_S, unit=DAY_S),
        description="0 is midnight at the start of Monday, 5.5 is Saturday's noon",
    ),
    Feature(
        name="minutes",
        group="context",
        default=50.0,
        minimum=1.0,
        maximum=1440.0,
        description="the user's free time until the next appointment, minutes",
    ),
    Feature(
        name="next_event_minutes",
        group="context",
        default=1440.0,
        minimum=0.0,
        maximum=1440.0,
        description="time to the next appointment on that day, minutes. 1440 if there is none",
    ),
    NEXT_EVENT_POSITION,
    Feature(
        name="query",
        group="context",
        dtype="text",
        max_length=512,
        description="the user's wish, in words. Read only by text rankers",
    ),
)


def _hourly(name: str, default: float, description: str, shape: tuple[int, ...] = ()) -> Feature:
    return Feature(
        name=name,
        group="global",
        shape=shape,
        default=(default,) * shape[0] if shape else default,
        fresh_for_s=_FRESH_S,
        description=description,
    )


_GLOBAL = (
    _hourly("temperature_c", 8.0, "air temperature, degrees Celsius"),
    _hourly("rain_mm", 0.0, "rain in the hour, mm"),
    _hourly("snowing", 0.0, "1 if the hour is reported as snow"),
    _hourly("snow_day_h", 0.0, "hours of snow in the last 24"),
    _hourly("traffic", 3300.0, "road traffic, vehicles an hour at one counter"),
    _hourly("holiday", 0.0, "1 on public holidays"),
    _hourly("forecast_temperature_c", 8.0, "temperature in 1, 2 and 3 hours", (FORECAST_H,)),
    _hourly("forecast_rain_mm", 0.0, "rain in the hours after this one, mm", (FORECAST_H,)),
    _hourly("forecast_snowing", 0.0, "snow in the hours after this one, 0 or 1", (FORECAST_H,)),
)

_CELL = (
    Feature(
        name="news",
        group="cell",
        shape=(NEWS_EMBEDDING,),
        fresh_for_s=_FRESH_S,
        description="unit vector: MiniLM's embedding of the cell's newest news, reduced. All zeros if there is no news",
    ),
    Feature(
        name="news_age_h",
        group="cell",
        default=NO_NEWS_H,
        fresh_for_s=_FRESH_S,
        description="hours since the cell's newest news came out. 240 if there is no news",
    ),
)

_LIVE = (
    Feature(
        name="closed",
        group="live",
        dtype="uint8",
        description="1 while a way on the route is closed: the reranker never returns such a route",
    ),
)

FEATURES = FeatureSet(
    features=(*_ITEM, *_CONTEXT, *USER_FEATURES, *REALTIME_FEATURES, *_GLOBAL, *_CELL, *_LIVE)
)
