"""Popular items: a list per catalogue cell, for answers without a ranker."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.features.catalogue import Catalogue
from models.features.sent import known_rows
from models.ragged import RaggedBatch
from services.errors import ConfigError
from services.stages.popularity_order import BaseOrders, PopularityOrder


class PopularConfig(BaseModel):
    """How to find the popular items.

    Attributes:
        column: the item column whose number is an item's popularity. With None, the catalogue's order decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None


class PopularItems:
    """Each cell's most popular items, followed by the catalogue's most popular ones. The lists are computed once.

    Attributes:
        order: the order of the items.
    """

    def __init__(
        self, config: PopularConfig, catalogue: Catalogue, count: int, orders: BaseOrders | None = None
    ) -> None:
        """Build lists of ``count`` items. A catalogue without the column "cell" has one list.

        Args:
            config: how to find the popular items.
            catalogue: the items.
            count: the length of each list.
            orders: the orders of catalogues that are in use. None: the catalogue is sorted.

        Raises:
            ConfigError: there is no such column with one number per item.
        """
        self._popularity = popularity(config, catalogue, "fallback.popular.column")
        self._column = config.column
        base = (orders or BaseOrders()).of(catalogue, config.column, self._popularity)
        self.order = order = PopularityOrder(catalogue, base, self._popularity)
        width = min(count, catalogue.item_count)
        # Twice the width is enough, because at most ``width`` of these items are in a cell's own list.
        most_popular = order.best(2 * width)
        self._lists = np.empty((len(order.cells), width), dtype=np.int64)
        for place in range(len(order.cells)):
            best = order.best_of_cell(place, width)
            others = most_popular[~np.isin(most_popular, best)][: width - len(best)]
            self._lists[place] = np.concatenate([best, others])
        self._everywhere = most_popular[:width]

    def scores(self, batch: RaggedBatch) -> NDArray[np.float32]:
        """Return the candidates' popularity, float32 (N,). An unknown popularity is -inf."""
        return popularity_of(batch, self._column, self._popularity)

    def near(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return B lists, int64 (B, count), one for the cell of each catalogue row in ``rows``, (B,)."""
        return self._lists[self.order.places(rows)]

    def anywhere(self, requests: int) -> NDArray[np.int64]:
        """Return the whole catalogue's list for requests from an unknown cell, int64 (requests, count)."""
        return np.tile(self._everywhere, (requests, 1))


def popularity_of(batch: RaggedBatch, column: str | None, known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the candidates' popularity, float32 (N,), also of items that were sent with the request.

    Args:
        batch: the batch.
        column: the item column with the popularity. None: items outside the catalogue are the least popular.
        known: the popularity of the items of the catalogue.
    """
    rows, unknown = known_rows(batch)
    if unknown is None:
        return known.take(rows)
    if column is None:
        return np.where(unknown, known.min() - np.float32(1), known.take(rows))
    return numbers_of(batch.candidates[f"item.{column}"])


def popularity(config: PopularConfig, catalogue: Catalogue, field: str) -> NDArray[np.float32]:
    """Return every item's popularity, float32 (items,). An unknown popularity is -inf.

    Args:
        config: where it is found.
        catalogue: the items.
        field: the configuration field, for the error.

    Raises:
        ConfigError: there is no such column with one number per item.
    """
    if config.column is None:
        return -np.arange(len(catalogue), dtype=np.float32)
    column: NDArray[Any] | None = catalogue.columns.get(config.column)
    if column is None or column.size != len(catalogue):
        raise ConfigError(
            f"the catalogue has no column {config.column!r} with one number per item; name one of "
            f"{', '.join(catalogue.columns)}",
            field=field,
        )
    return numbers_of(column)


def numbers_of(column: NDArray[Any]) -> NDArray[np.float32]:
    """Return one number per item as float32 (N,), -inf for NaN."""
    numbers = np.asarray(column, dtype=np.float32).reshape(-1)
    return np.where(np.isnan(numbers), np.float32(-np.inf), numbers)
