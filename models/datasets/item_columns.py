"""The item columns that are computed from events: the popularity, and the number of the item's embedding.

The catalogue has the values after the last event, for serving. Training reads them as of the time of each list, from
the item timelines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.events import EventLog
from models.datasets.features import NUMBER, POPULARITY
from models.features.timelines import Kind, log_count

TIMELINES: Mapping[str, Kind] = {NUMBER: "from_first", POPULARITY: "log_count"}


@dataclass(frozen=True)
class Choices:
    """The first choice of each item by each user, with a relevance above 0, by time and then item.

    Attributes:
        item: int64 (C,), item numbers of the log.
        at_s: float64 (C,), epoch seconds.
    """

    item: NDArray[np.int64]
    at_s: NDArray[np.float64]


def first_choices(log: EventLog) -> Choices:
    """Return the choices that the popularity counts."""
    chosen = np.arange(len(log)) if log.relevance is None else np.flatnonzero(log.relevance > 0)
    pairs = log.user[chosen] * max(1, len(log.item_ids)) + log.item[chosen]
    first = chosen[np.unique(pairs, return_index=True)[1]]  # events are in time order for each user
    first = first[np.lexsort((log.item[first], log.at_s[first]))]
    return Choices(log.item[first], log.at_s[first])


def columns_of(log: EventLog, choices: Choices, train_end_s: float) -> dict[str, NDArray[Any]]:
    """Return the columns (I,) as they are after the last event.

    Items are numbered by their first choice, so a later event never changes the number of an earlier item. An item
    that was not chosen before ``train_end_s`` has the number 0, because its embedding would not be trained.
    """
    items = len(log.item_ids)
    number = np.zeros(items, dtype=np.int64)
    trained = choices.item[choices.at_s < train_end_s]
    first = np.sort(np.unique(trained, return_index=True)[1])
    number[trained[first]] = np.arange(1, len(first) + 1)
    return {NUMBER: number, POPULARITY: log_count(np.bincount(choices.item, minlength=items))}
