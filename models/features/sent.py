"""Items that requests send with their features, so that items outside the catalogue can be ranked.

A batch with such items has three kinds of further candidate columns, one value per candidate (N, ...):

- ``item.<column>`` for every column of the catalogue. Its values replace those of the catalogue.
- ``KEYS``: the item's key.
- ``UNKNOWN``: whether the item is outside the catalogue. Its row is then ``FIRST_UNKNOWN_ROW`` or more.

Other batches have none of these columns. Their item features are read from the catalogue by row.

Training lists with such items also have ``SENT``: the index into their ``SentTable``, or -1 if the candidate was not
sent with features.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch

KEYS, UNKNOWN, SENT = "item:key", "item:unknown", "item:sent"
"""A colon is in no name of a column or feature."""
ITEM_COLUMNS = ("item.", "item:")
"""How the names of these columns begin."""
FIRST_UNKNOWN_ROW = 1 << 30
"""Above the rows of every catalogue, also after deltas. Row numbers are sent between units as int32."""


def item_values(batch: RaggedBatch, source: str, column: NDArray[Any]) -> NDArray[Any]:
    """Return an item column for the candidates, (N, ...).

    Args:
        batch: the batch.
        source: ``item.<column>``.
        column: the column of the catalogue, (items, ...).
    """
    sent = batch.candidates.get(source)
    return column.take(batch.rows, axis=0) if sent is None else sent


def item_keys(batch: RaggedBatch, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the candidates' keys, int64 (N,). ``keys`` are those of the catalogue."""
    sent = batch.candidates.get(KEYS)
    return keys[batch.rows] if sent is None else sent


def known_rows(batch: RaggedBatch) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return rows that are all in the catalogue, and which of them stand for unknown items. None: all are known."""
    unknown = batch.candidates.get(UNKNOWN)
    return (batch.rows, None) if unknown is None else (np.where(unknown, 0, batch.rows), unknown)


def catalogue_columns(catalogue: Catalogue, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return copies of the catalogue's columns for ``rows`` (N,), as ``item.<column>``. Unknown rows get zeros."""
    unknown = rows >= FIRST_UNKNOWN_ROW
    inside = np.where(unknown, 0, rows)
    columns: dict[str, NDArray[Any]] = {}
    for name, column in catalogue.columns.items():
        columns[f"item.{name}"] = values = np.asarray(column).take(inside, axis=0)
        values[unknown] = np.zeros((), dtype=values.dtype)
    return {**columns, KEYS: np.asarray(catalogue.keys).take(inside), UNKNOWN: unknown}


def joined(batches: Sequence[RaggedBatch], catalogue: Catalogue) -> RaggedBatch:
    """Join batches end to end. If some have sent items, the others get the same columns from the catalogue."""
    with_items = [UNKNOWN in batch.candidates for batch in batches]
    if any(with_items) and not all(with_items):
        batches = [
            batch if has_items else batch.adding(candidates=catalogue_columns(catalogue, batch.rows))
            for batch, has_items in zip(batches, with_items, strict=True)
        ]
    return RaggedBatch.concatenate(batches)
