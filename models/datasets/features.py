"""Features for a pipeline over an event log, and the user's history at each moment."""

import numpy as np

from models.datasets.events import EventLog, Moments
from models.features.definition import Feature, FeatureSet
from models.ragged import RaggedArray, offsets_of

NUMBER, POPULARITY = "number", "popularity"


def features_of(log: EventLog, history: int) -> FeatureSet:
    """Declare the item columns and the user's history of at most ``history`` items."""

    def user_feature(name: str, description: str, dtype: str = "float32") -> Feature:
        return Feature.model_validate(
            {
                "name": name,
                "group": "user",
                "dtype": dtype,
                "ragged": True,
                "max_length": history,
                "description": description,
            }
        )

    return FeatureSet(
        features=(
            Feature(
                name=NUMBER,
                group="item",
                dtype="int64",
                description="the item's number, from 1. It is 0 if the item was never chosen in the training period",
            ),
            Feature(
                name=POPULARITY,
                group="item",
                description="log(1 + number of users who chose the item in the training period)",
            ),
            *(
                Feature(name=name, group="item", shape=values.shape[1:])
                for name, values in log.item_columns.items()
            ),
            user_feature(
                "history",
                "keys of the items that the user chose, without repeats, in the order of the last choice, oldest first",
                "int64",
            ),
            user_feature("history_value", "rating or quantity at the item's last choice"),
            user_feature("history_count", "number of times that the user chose the item"),
            user_feature("history_age_s", "seconds since the item's last choice"),
            user_feature(
                "history_rank", "number of other items that the user has chosen since the item's last choice"
            ),
        )
    )


def histories(
    log: EventLog, moments: Moments, keys: np.ndarray[tuple[int], np.dtype[np.int64]], longest: int
) -> dict[str, RaggedArray]:
    """Return the user columns for M moments: the items that the user chose strictly before.

    Args:
        log: the events.
        moments: the log's moments.
        keys: int64 (I,), catalogue keys by item number.
        longest: maximum history length in items.
    """
    positions, counts = [], []
    for first, start in zip(moments.first.tolist(), moments.start.tolist(), strict=True):
        newest_first = log.item[first:start][::-1]
        _, latest, repeats = np.unique(newest_first, return_index=True, return_counts=True)
        newest = np.argsort(latest)[:longest][::-1]
        positions.append(start - 1 - latest[newest])
        counts.append(repeats[newest])
    lengths = np.array([len(indices) for indices in positions], dtype=np.int64)
    offsets, events = offsets_of(lengths), np.concatenate([*positions, np.empty(0, dtype=np.int64)])
    ranks = np.repeat(offsets[1:], lengths) - 1 - np.arange(len(events))
    columns = {
        "history": keys[log.item[events]],
        "history_value": log.value[events],
        "history_count": np.concatenate([*counts, np.empty(0)]).astype(np.float32),
        "history_age_s": (np.repeat(moments.at_s, lengths) - log.at_s[events]).astype(np.float32),
        "history_rank": ranks.astype(np.float32),
    }
    return {f"user.{name}": RaggedArray(values, offsets) for name, values in columns.items()}
