"""Candidates that a request sends as objects with their features, checked against the feature definitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue, item_key
from models.features.definition import FeatureSet
from models.features.sent import FIRST_UNKNOWN_ROW, KEYS, catalogue_columns
from models.features.transforms import transformed
from services.errors import Unprocessable
from services.stages.sent_column import SHOWN, SentColumn, excerpt

_LONGEST_ID = 256
_FIELDS = frozenset({"id", "features"})
SentCandidate = str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class SentItems:
    """The items of one request that came with features.

    Attributes:
        layout: the layout that has read them.
        places: int64 (S,), their places among the request's candidates.
        ids: their S ids.
        keys: int64 (S,).
        values: (S, ...) by catalogue column.
        new_ids: the ids of those outside the catalogue. Their rows count from ``FIRST_UNKNOWN_ROW``.
    """

    layout: "ItemLayout"
    places: NDArray[np.int64]
    ids: Sequence[str]
    keys: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]
    new_ids: Sequence[str]


class ItemLayout:
    """Reads the features of sent items into the columns of a catalogue."""

    def __init__(self, catalogue: Catalogue, features: FeatureSet, refused_by: str | None = None) -> None:
        """Find the columns and their limits.

        Args:
            catalogue: the items. A sent item that is among them keeps the values that are not sent.
            features: the feature definitions.
            refused_by: the part of the pipeline that can rank items of the catalogue only. None: there is none.
        """
        self._catalogue = catalogue
        self.refused_by = refused_by
        derived = {f.name: f for f in features.derived if f.group == "item"}
        self._derived = [f for f in derived.values() if f.name in catalogue.columns]
        declared = {f.name: f for f in features.supplied("item")}
        self._columns: dict[str, SentColumn] = {}
        for name, column in catalogue.columns.items():
            if name not in derived and column.dtype.kind in "iuf":
                self._columns[name] = SentColumn(name, column, declared.get(name))
        self._sources = {name: f.transform.of for name, f in derived.items() if f.transform is not None}

    @property
    def state(self) -> str:
        """The catalogue's deltas."""
        return self._catalogue.state

    def read(
        self, candidates: Sequence[SentCandidate], max_count: int
    ) -> tuple[NDArray[np.int64], SentItems | None]:
        """Return the rows of a request's candidates, and those that came with features.

        Raises:
            Unprocessable: a candidate is unknown, or one of its features is. The error names both.
        """
        if len(candidates) > max_count:
            raise Unprocessable(
                f"at most {max_count} are allowed, got {len(candidates)}; send fewer",
                field="candidates",
            )
        row_by_id = self._catalogue.row_by_id
        rows: dict[str, int] = {}
        objects: dict[str, tuple[str, Mapping[str, Any]]] = {}
        new_ids: list[str] = []
        for index, candidate in enumerate(candidates):
            where = f"candidates[{index}]"
            item_id, sent = _parts(candidate, where)
            row = row_by_id.get(item_id)
            if sent is None:
                if row is None and item_id not in objects:
                    raise Unprocessable(
                        f"not in catalogue {self._catalogue.manifest.name} "
                        f"{self._catalogue.manifest.version}, got {item_id[:SHOWN]!r}; send ids from this catalogue, "
                        f'or an object {{"id": ..., "features": {{...}}}}',
                        field=where,
                    )
            else:
                self._expect_new(item_id, rows, where)
                objects[item_id] = (where, sent)
            if item_id not in rows:
                rows[item_id] = FIRST_UNKNOWN_ROW + len(new_ids) if row is None else row
                new_ids += [item_id] if row is None else []
        row_array = np.array(list(rows.values()), dtype=np.int64)
        if not objects:
            return row_array, None
        place_of = {item_id: place for place, item_id in enumerate(rows)}
        places = np.array([place_of[item_id] for item_id in objects], dtype=np.int64)
        return row_array, SentItems(
            layout=self,
            places=places,
            ids=list(objects),
            keys=np.array([item_key(item_id) for item_id in objects], dtype=np.int64),
            values=self._values(list(objects.values()), row_array[places]),
            new_ids=new_ids,
        )

    def key_of(self, item_id: str) -> int:
        """Return the key of an item that an answer may have: one of the catalogue, or one that a request sent.

        Raises:
            Unprocessable: no answer can have the item.
        """
        is_known = item_id in self._catalogue.row_by_id
        if not is_known and (self.refused_by is not None or not 0 < len(item_id) <= _LONGEST_ID):
            raise Unprocessable(
                f"not in catalogue {self._catalogue.manifest.name}, got {item_id[:SHOWN]!r}; send an item id from "
                f"an answer",
                field="item_id",
            )
        return item_key(item_id)

    def columns(
        self, rows: NDArray[np.int64], starts: Sequence[int], sent: Sequence[SentItems]
    ) -> dict[str, NDArray[Any]]:
        """Return the further candidate columns for a batch with sent items.

        Args:
            rows: int64 (N,), the rows of all candidates.
            starts: the first candidate of each request with sent items.
            sent: these requests' items.
        """
        columns = catalogue_columns(self._catalogue, rows)
        for start, items in zip(starts, sent, strict=True):
            places = start + items.places
            columns[KEYS][places] = items.keys
            for name, values in items.values.items():
                columns[f"item.{name}"][places] = values
        return columns

    def _expect_new(self, item_id: str, rows: Mapping[str, int], where: str) -> None:
        if self.refused_by is not None:
            raise Unprocessable(
                f"{self.refused_by} of this pipeline can rank items of the catalogue only, got an object; "
                f"send ids from the catalogue",
                field=where,
            )
        if item_id in rows:
            raise Unprocessable(
                f"is in the list twice, got {item_id[:SHOWN]!r}; send an item with features once",
                field=f"{where}.id",
            )

    def _values(
        self, objects: Sequence[tuple[str, Mapping[str, Any]]], rows: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """Return the catalogue columns of the objects, by name, from their rows and from the features sent."""
        for where, sent in objects:
            if not sent.keys() <= self._columns.keys():
                name = next(name for name in sent if name not in self._columns)
                raise self._unknown(name, f"{where}.features.{name[:SHOWN]}")
        places, features = [where for where, _ in objects], [sent for _, sent in objects]
        own_rows = np.where(rows < FIRST_UNKNOWN_ROW, rows, -1)
        values = {name: column.values(features, places, own_rows) for name, column in self._columns.items()}
        for feature in self._derived:
            assert feature.transform is not None
            source = values[feature.transform.of.removeprefix("item.")]
            values[feature.name] = transformed(feature.transform, source, None).astype(feature.dtype)
        return values

    def _unknown(self, name: str, field: str) -> Unprocessable:
        if name in self._sources:
            return Unprocessable(f"is computed from {self._sources[name]}; send that instead", field=field)
        return Unprocessable(
            f"not an item feature of this pipeline; send some of {', '.join(self._columns) or 'none'}",
            field=field,
        )


def _parts(candidate: SentCandidate, where: str) -> tuple[str, Mapping[str, Any] | None]:
    """Return a candidate's id and features, None if it was sent as an id only."""
    if isinstance(candidate, str):
        return candidate, None
    other = [name for name in candidate if name not in _FIELDS]
    if other:
        raise Unprocessable(
            "no such field; send id and features",
            field=f"{where}.{other[0][:SHOWN]}",
        )
    item_id, features = candidate.get("id"), candidate.get("features", {})
    if not isinstance(item_id, str) or not 0 < len(item_id) <= _LONGEST_ID:
        raise Unprocessable(
            f"expected 1 to {_LONGEST_ID} characters, got {excerpt(item_id)}; send the id of the item",
            field=f"{where}.id",
        )
    if not isinstance(features, dict):
        raise Unprocessable(
            f"expected an object, got {excerpt(features)}; send the features by name",
            field=f"{where}.features",
        )
    return item_id, features
