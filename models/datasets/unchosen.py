"""The item columns of a log without events: nobody has chosen an item yet."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.events import EventLog
from models.datasets.features import NUMBER, POPULARITY


def unchosen_columns(log: EventLog) -> dict[str, NDArray[Any]]:
    """Return the item columns. Every item has a number from 1, and the popularity that the items' file defines."""
    items = len(log.item_ids)
    popularity = log.popularity if log.popularity is not None else np.zeros(items, dtype=np.float32)
    return {NUMBER: np.arange(1, items + 1), POPULARITY: popularity, **log.item_columns}
