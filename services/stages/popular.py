"""Popular items: the lists of a catalogue's cells that are answered when nothing better can be had in time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.features.catalogue import Catalogue
from models.features.definition import CELL
from services.errors import ConfigError


class PopularConfig(BaseModel):
    """column: the item column of one number that says how popular an item is; None: the catalogue's order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None


class PopularItems:
    """The most popular items of every cell, those of the whole catalogue after them; worked out once."""

    def __init__(self, config: PopularConfig, catalogue: Catalogue, count: int) -> None:
        """Keep ``count`` items a list; a catalogue without the column "cell" has one list.

        Raises:
            ConfigError: there is no such column of one number an item.
        """
        self.scores = _popularity(config, catalogue)
        order = np.argsort(-self.scores, kind="stable").astype(np.int64)
        column = catalogue.columns.get(CELL)
        cells = np.full(len(catalogue), -1) if column is None else np.asarray(column)
        present = np.unique(cells)
        by_cell = order[np.argsort(cells[order], kind="stable")]
        starts = np.searchsorted(cells[by_cell], present)
        width = min(count, len(catalogue))
        self._lists = np.empty((len(present), width), dtype=np.int64)
        for index, own in enumerate(np.split(by_cell, starts[1:])):
            best = own[:width]
            # Enough of the whole: at most ``width`` of it are in the cell's own list.
            others = order[: 2 * width]
            others = others[~np.isin(others, best)][: width - len(best)]
            self._lists[index] = np.concatenate([best, others])
        self._everywhere = order[:width]
        self._list_of_row = np.searchsorted(present, cells)

    def near(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give int64 (B, count): the list of the cell of each of the catalogue's ``rows`` (B,)."""
        return self._lists[self._list_of_row[rows]]

    def anywhere(self, requests: int) -> NDArray[np.int64]:
        """Give int64 (requests, count): the list of the whole catalogue, for those whose cell is not known."""
        return np.tile(self._everywhere, (requests, 1))


def _popularity(config: PopularConfig, catalogue: Catalogue) -> NDArray[np.float32]:
    if config.column is None:
        return -np.arange(len(catalogue), dtype=np.float32)
    column: NDArray[Any] | None = catalogue.columns.get(config.column)
    if column is None or column.size != len(catalogue):
        raise ConfigError(
            f"the catalogue has no column {config.column!r} with one number per item; name one of "
            f"{', '.join(catalogue.columns)}",
            field="fallback.popular.column",
        )
    return np.nan_to_num(np.asarray(column, dtype=np.float32).reshape(-1), nan=-np.inf)
