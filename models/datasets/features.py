"""Features for a pipeline over an event log, and the user's history at each moment."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.events import EventLog, Moments
from models.datasets.newest import newest
from models.features.definition import Feature, FeatureSet, Group
from models.features.transforms import NOW, Log
from models.ragged import Column, RaggedArray, offsets_of

NUMBER, POPULARITY, AT_S = "number", "popularity", "history_at_s"


def features_of(log: EventLog, history: int) -> FeatureSet:
    """Declare the item columns and the user's history of at most ``history`` items.

    If the log's users are served, their stored history has the time of each choice, and its age is computed for the
    time of the request.
    """

    def user_feature(name: str, description: str, dtype: str = "float32", **others: Any) -> Feature:
        return Feature.model_validate(
            {
                "name": name,
                "group": "user",
                "dtype": dtype,
                "ragged": True,
                "max_length": history,
                "description": description,
                **others,
            }
        )

    age = "seconds since the item's last choice"
    return FeatureSet(
        features=(
            *_context(log),
            Feature(
                name=NUMBER,
                group="item",
                dtype="int64",
                description="the item's number, from 1, in the order of the first choice. It is 0 before that, and if "
                "the first choice is after the training period",
            ),
            Feature(
                name=POPULARITY,
                group="item",
                description="log(1 + number of users who chose the item before)",
            ),
            *_fixed("item", log.item_columns, log.logs, {}),
            *_fixed("user", log.user_columns, log.user_logs, log.user_defaults),
            user_feature(
                "history",
                "keys of the items that the user chose, without repeats, in the order of the last choice, oldest first",
                "int64",
            ),
            user_feature("history_value", "rating or quantity at the item's last choice"),
            user_feature("history_count", "number of times that the user chose the item"),
            *(
                (user_feature(AT_S, "epoch seconds of the item's last choice", "float64"),)
                if log.is_served
                else ()
            ),
            user_feature("history_age_s", age, transform={"kind": "age", "of": f"user.{AT_S}"})
            if log.is_served
            else user_feature("history_age_s", age),
            user_feature(
                "history_rank", "number of other items that the user has chosen since the item's last choice"
            ),
        )
    )


def _context(log: EventLog) -> Iterator[Feature]:
    """Declare the time of the request, and its position if the items have positions."""
    yield Feature(
        name="now_s",
        group="context",
        dtype="float64",
        default=log.until_s,
        minimum=0.0,
        maximum=1e11,
        description="the moment of the request: epoch seconds. Default: the time of the last event",
    )
    if log.position is not None:
        places = log.item_columns[log.position]
        middle = np.median(places, axis=0)
        if not len(log):
            middle = np.round(
                middle
            )  # new items must not change the definitions, with which the log was made
        yield Feature(
            name="position",
            group="context",
            shape=(2,),
            default=tuple(float(value) for value in middle),
            minimum=(-90.0, -180.0),
            maximum=(90.0, 180.0),
            description="where the user is: latitude and longitude in degrees. Default: the middle of the items",
        )


def _fixed(
    group: Group, columns: Mapping[str, NDArray[Any]], logs: Sequence[str], defaults: Mapping[str, float]
) -> Iterator[Feature]:
    """Declare features that do not change over time, and the logarithms that the model reads."""
    for name, values in columns.items():
        yield Feature(name=name, group=group, shape=values.shape[1:], default=defaults.get(name, 0.0))
        if name in logs:
            transform = Log(of=f"{group}.{name}")
            yield Feature(name=f"{name}_log", group=group, shape=values.shape[1:], transform=transform)


def histories(
    log: EventLog, moments: Moments, keys: np.ndarray[tuple[int], np.dtype[np.int64]], longest: int
) -> dict[str, Column]:
    """Return the user columns for M moments: the items that the user chose strictly before.

    The columns also have the time of the request and the users' fixed features.

    Args:
        log: the events.
        moments: the log's moments.
        keys: int64 (I,), catalogue keys by item number.
        longest: maximum history length in items.
    """
    events, lengths = newest(log.next_choice, moments.first, moments.start, longest)
    offsets = offsets_of(lengths)
    ranks = np.repeat(offsets[1:], lengths) - 1 - np.arange(len(events))
    columns: dict[str, NDArray[Any]] = {
        "history": keys[log.item[events]],
        "history_value": log.value[events],
        "history_count": log.occurrences[events].astype(np.float32),
        "history_rank": ranks.astype(np.float32),
    }
    if log.is_served:
        columns[AT_S] = log.at_s[events]
    else:
        columns["history_age_s"] = (np.repeat(moments.at_s, lengths) - log.at_s[events]).astype(np.float32)
    ragged: dict[str, Column] = {
        f"user.{name}": RaggedArray(values, offsets) for name, values in columns.items()
    }
    fixed = {f"user.{name}": values[moments.user] for name, values in log.user_columns.items()}
    return {**ragged, **fixed, NOW: moments.at_s}
