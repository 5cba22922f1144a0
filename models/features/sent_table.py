"""The values of items as requests sent them, kept with training lists, so that models learn what was served.

Each candidate of the lists has an index into the table, or -1 if its values are those of the catalogue. So the table
takes memory only for the items that were sent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.features.catalogue import Catalogue, item_key
from models.features.sent import FIRST_UNKNOWN_ROW, KEYS, SENT, catalogue_columns
from models.ragged import RaggedBatch

_INDEX, _PLACES = "sent.json", "places"


@dataclass(frozen=True)
class SentValues:
    """The sent items of one list.

    Attributes:
        ids: S ids.
        values: (S, ...) by catalogue column: the values with which the items were scored.
    """

    ids: Sequence[str]
    values: Mapping[str, NDArray[Any]]

    def picked(self, keys: NDArray[np.int64], shown: NDArray[np.int64]) -> "SentValues | None":
        """Return the items whose keys are among ``shown``, None if there are none. ``keys`` (S,) are those of all."""
        places = np.flatnonzero(np.isin(keys, shown))
        if not len(places):
            return None
        return SentValues(
            ids=[self.ids[place] for place in places.tolist()],
            values={name: values[places] for name, values in self.values.items()},
        )


@dataclass(frozen=True)
class SentTable:
    """The sent items of many lists.

    Attributes:
        ids: T ids.
        columns: for each catalogue column the entries that have it, int64 (P,), and their values (P, ...). Lists of
            another version of the catalogue may lack a column.
    """

    ids: Sequence[str]
    columns: Mapping[str, tuple[NDArray[np.int64], NDArray[Any]]]

    @classmethod
    def of(
        cls, lists: Sequence[SentValues | None], offsets: NDArray[np.int64], keys: NDArray[np.int64]
    ) -> tuple[Self, NDArray[np.int64]] | None:
        """Return the table of B lists, and the candidates' indices, int64 (N,). None if no list has sent items.

        Args:
            lists: the sent items of each list.
            offsets: int64 (B + 1,), the candidates of each list.
            keys: int64 (N,), the candidates' keys.

        Raises:
            ArtifactError: a column has several types or shapes.
        """
        ids: list[str] = []
        index = np.full(len(keys), -1, dtype=np.int64)
        places: dict[str, list[NDArray[np.int64]]] = {}
        parts: dict[str, list[NDArray[Any]]] = {}
        for number, sent in enumerate(lists):
            if sent is None:
                continue
            first, last = offsets[number], offsets[number + 1]
            place_of = {item_key(item_id): len(ids) + place for place, item_id in enumerate(sent.ids)}
            index[first:last] = [place_of.get(key, -1) for key in keys[first:last].tolist()]
            for name, values in sent.values.items():
                parts.setdefault(name, []).append(values)
                places.setdefault(name, []).append(np.arange(len(ids), len(ids) + len(values)))
            ids += sent.ids
        if not ids:
            return None
        for name, of_lists in parts.items():
            kinds = sorted({f"{values.dtype} {values.shape[1:]}" for values in of_lists})
            if len(kinds) > 1:
                raise ArtifactError(
                    f"the log: item.{name} was sent with several types or shapes, got {', '.join(kinds)}; read files "
                    f"that were served with one version of the catalogue"
                )
        columns = {
            name: (np.concatenate(places[name]), np.concatenate(of_lists)) for name, of_lists in parts.items()
        }
        return cls(ids, columns), index

    def write(self, folder: Path) -> None:
        """Write the table into an existing folder."""
        for number, (places, values) in enumerate(self.columns.values()):
            np.save(folder / f"sent.{number}.npy", values)
            np.save(folder / f"sent.{number}.{_PLACES}.npy", places)
        (folder / _INDEX).write_text(json.dumps({"ids": list(self.ids), "columns": list(self.columns)}))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return the table of a folder, None if its lists have no sent items.

        Raises:
            ArtifactError: the table is damaged.
        """
        path = folder / _INDEX
        if not path.is_file():
            return None
        try:
            index = json.loads(path.read_text())
            columns: dict[str, tuple[NDArray[np.int64], NDArray[Any]]] = {}
            for number, name in enumerate(index["columns"]):
                places = np.load(folder / f"sent.{number}.{_PLACES}.npy")
                values = np.load(folder / f"sent.{number}.npy")
                if len(places) != len(values):
                    raise ValueError(f"{name} has {len(values)} values, expected {len(places)}")
                columns[name] = places, values
            return cls(index["ids"], columns)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"sent items at {folder} cannot be read: {error}; build the data set again"
            ) from error

    def with_rows(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the lists with rows for sent items outside the catalogue: ``FIRST_UNKNOWN_ROW`` plus the index.

        Raises:
            ArtifactError: the lists do not belong to this table.
        """
        index = batch.candidates.get(SENT)
        if index is None or index.dtype.kind not in "iu" or index.max(initial=-1) >= len(self.ids):
            raise ArtifactError(
                f"sent items: the lists must have indices into the table of {len(self.ids)} items; build the data set "
                f"again"
            )
        is_new = (batch.rows < 0) & (index >= 0)
        return replace(batch, rows=np.where(is_new, FIRST_UNKNOWN_ROW + index, batch.rows))

    def id_of(self, row: int) -> str:
        """Return the id of an item outside the catalogue by its row."""
        return self.ids[row - FIRST_UNKNOWN_ROW]

    def laid_over(self, batch: RaggedBatch, catalogue: Catalogue) -> RaggedBatch:
        """Return the lists with the candidate columns that they had in the service, after ``with_rows``.

        All rows are 0 or more.

        Raises:
            ArtifactError: a column has another type or shape than in the catalogue.
        """
        index = batch.candidates[SENT]
        columns = catalogue_columns(catalogue, batch.rows)
        candidates = np.flatnonzero(index >= 0)
        columns[KEYS][candidates] = [item_key(self.ids[i]) for i in index[candidates].tolist()]
        for name, (places, values) in self.columns.items():
            column = columns.get(f"item.{name}")
            if column is None:
                continue  # the catalogue no longer has it, so nothing reads it
            if (column.dtype, column.shape[1:]) != (values.dtype, values.shape[1:]):
                raise ArtifactError(
                    f"the log: item.{name} was sent as {values.dtype} {values.shape[1:]}, but catalogue "
                    f"{catalogue.manifest.name} has {column.dtype} {column.shape[1:]}; read files that were served "
                    f"with this catalogue"
                )
            at = np.searchsorted(places, index[candidates]).clip(max=max(0, len(places) - 1))
            has = places[at] == index[candidates] if len(places) else np.zeros(len(at), dtype=np.bool_)
            column[candidates[has]] = values[at[has]]
        return batch.adding(candidates=columns)
