"""The measured models with their sizes of requests."""

from dataclasses import dataclass

from benchmarks.on_gpu.options import Column, Distance, DlrmOptions, RankerOptions

_EMBEDDED = {"embedding": (64,)}
_STATE = {"realtime.state": (16,)}


@dataclass(frozen=True)
class Workload:
    """A model and its requests.

    Attributes:
        history: items in each user's history. 0 for a model without histories.
        buckets: candidates per request, the most important number first.
        most_requests: maximum requests in a batch.
    """

    name: str
    options: RankerOptions | DlrmOptions
    history: int
    buckets: tuple[int, ...]
    most_requests: int


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "hstu",  # head_dim 128, as in the HSTU of MLPerf's DLRMv3
            RankerOptions(1024, 8, 8, 4096, _EMBEDDED, number=("number", 100_000), request=_STATE),
            history=2048,
            buckets=(4096, 1024, 200),
            most_requests=32,
        ),
        Workload(
            "large",  # models.architectures.options.SIZES["large"]
            RankerOptions(1024, 16, 24, 4096, _EMBEDDED, number=("number", 100_000), request=_STATE),
            history=256,
            buckets=(1000, 200),
            most_requests=32,
        ),
        Workload("dlrm", DlrmOptions(rows=100_000), history=0, buckets=(1000, 200), most_requests=128),
    )
}
SMOKE = {
    workload.name: workload
    for workload in (
        Workload(
            "hstu",
            RankerOptions(64, 2, 2, 128, _EMBEDDED, number=("number", 100), request=_STATE),
            history=33,
            buckets=(40, 7),
            most_requests=4,
        ),
        Workload(
            "large",
            RankerOptions(32, 2, 3, 64, _EMBEDDED, number=("number", 100), request=_STATE),
            history=9,
            buckets=(20,),
            most_requests=2,
        ),
        Workload("dlrm", DlrmOptions(rows=50, width=8), history=0, buckets=(30,), most_requests=4),
    )
}
"""The same models at a size for tests."""

WALKS = RankerOptions(
    width=64,
    heads=4,
    layers=2,
    hidden=128,
    items={"attributes": (28,), "popularity": (), "embedding": (48,)},
    history_values=(Column("history_rating"), Column("history_age_days", "log")),
    context=(
        Column("hour", "cyclic", 24.0, 3),
        Column("weekday", "cyclic", 7.0),
        Column("minutes", "log"),
        Column("next_event_minutes", "log"),
    ),
    profile=("profile", (10,)),
    request={
        "global.temperature_c": (),
        "global.rain_mm": (),
        "global.forecast_rain_mm": (3,),
        "global.snowing": (),
        "global.snow_day_h": (),
        "global.traffic": (),
        "global.holiday": (),
        "realtime.positions": (),
    },
    cells={"news": (16,), "news_age_h": ()},
    distances=(
        Distance("context.position", "start"),
        Distance("realtime.came_from", "start"),
        Distance("context.next_event_position", "end"),
    ),
)
"""The ranker of ``configs/cluster.yaml``, for its profiles."""
WALKS_HISTORY = 25
"""Ratings in the longest history of a batch of the walks' users."""
