"""Item timelines: item features that are computed from events, as they were at an earlier time.

The catalogue has one value per item, that after the last event. A training list must not see it, because later events
have changed it. So the training reads such columns through the timelines, as of the time of each list: only events
strictly before it count. Serving reads the catalogue, which has the values as of the end of the data.

The timelines are a folder with these files. Items are keys, so the folder is valid for any version of the catalogue.

- ``timelines.json``: the kind of each column.
- ``keys.npy`` (I,): ascending item keys.
- ``offsets.npy`` (I + 1,) and ``at_s.npy`` (E,): the times of each item's counted events, ascending.

The kinds are:

- ``log_count``: log(1 + number of counted events).
- ``from_first``: the catalogue's value from the first counted event on, and 0 before.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.atomic_directory import settled, written_whole
from models.errors import ArtifactError
from models.features.catalogue import Catalogue
from models.features.sent import FIRST_UNKNOWN_ROW, SENT, item_values
from models.features.transforms import NOW
from models.ragged import RaggedBatch

INDEX = "timelines.json"
Kind = Literal["log_count", "from_first"]


class TimelineIndex(BaseModel):
    """Content of ``timelines.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, Kind]


def log_count(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return log(1 + count), with equal bits in the catalogue and in the timelines."""
    return np.log1p(counts).astype(np.float32)


def write_timelines(
    root: Path,
    columns: Mapping[str, Kind],
    *,
    keys: NDArray[np.int64],
    item: NDArray[np.int64],
    at_s: NDArray[np.float64],
) -> None:
    """Write the timelines completely or not at all.

    Args:
        root: the folder.
        columns: the kind of each column.
        keys: int64 (I,), the items' keys.
        item: int64 (E,), the item of each counted event, an index into ``keys``.
        at_s: float64 (E,), epoch seconds.
    """
    by_key = np.argsort(keys, kind="stable")
    place = np.empty(len(keys), dtype=np.int64)
    place[by_key] = np.arange(len(keys))
    order = np.lexsort((at_s, place[item]))
    offsets = np.zeros(len(keys) + 1, dtype=np.int64)
    np.cumsum(np.bincount(place[item], minlength=len(keys)), out=offsets[1:])
    with written_whole(root) as staging:
        np.save(staging / "keys.npy", keys[by_key])
        np.save(staging / "offsets.npy", offsets)
        np.save(staging / "at_s.npy", at_s[order])
        (staging / INDEX).write_text(TimelineIndex(columns=dict(columns)).model_dump_json(indent=2) + "\n")


def item_column(
    column: str, batch: RaggedBatch, catalogue: Catalogue, timelines: "ItemTimelines | None"
) -> NDArray[Any]:
    """Return an item column for the candidates of lists, (N, ...), as of the time of each list."""
    if timelines is None or column not in timelines.columns:
        return item_values(batch, f"item.{column}", np.asarray(catalogue.columns[column]))
    return timelines.of_candidates(column, batch, batch.request_of())


class ItemTimelines:
    """The timelines over one catalogue. Items without a timeline keep the catalogue's values."""

    def __init__(
        self,
        columns: Mapping[str, Kind],
        catalogue: Catalogue,
        keys: NDArray[np.int64],
        offsets: NDArray[np.int64],
        at_s: NDArray[np.float64],
    ) -> None:
        """Find each catalogue row's events. Call ``ItemTimelines.open`` instead."""
        self.columns = dict(columns)
        self._catalogue, self._offsets, self._at_s = catalogue, offsets, at_s
        wanted = np.asarray(catalogue.keys)
        place = np.minimum(np.searchsorted(keys, wanted), max(0, len(keys) - 1))
        self._known = keys[place] == wanted if len(keys) else np.zeros(len(wanted), dtype=np.bool_)
        self._place = place

    @classmethod
    def open(cls, root: Path, catalogue: Catalogue) -> Self:
        """Read the timelines at ``root``.

        Raises:
            ArtifactError: they are missing, damaged, or have a column that the catalogue lacks.
        """
        root = settled(root)
        path = root / INDEX
        if not path.is_file():
            raise ArtifactError(f"no item timelines at {root}: {INDEX} is missing; build the data set again")
        try:
            index = TimelineIndex.model_validate(json.loads(path.read_text()))
            keys, offsets, at_s = (np.load(root / f"{name}.npy") for name in ("keys", "offsets", "at_s"))
        except (ValidationError, OSError, EOFError, ValueError) as error:
            raise ArtifactError(
                f"item timelines at {root} cannot be read: {error}; build the data set again"
            ) from error
        missing = sorted(set(index.columns) - set(catalogue.columns))
        if missing or len(offsets) != len(keys) + 1 or offsets[-1] != len(at_s):
            raise ArtifactError(
                f"item timelines at {root} do not fit the catalogue {catalogue.manifest.name}"
                f"{': it has no column ' if missing else ''}{', '.join(missing)}; build the data set again"
            )
        return cls(index.columns, catalogue, keys, offsets, at_s)

    def values(self, column: str, rows: NDArray[np.int64], at_s: NDArray[np.float64]) -> NDArray[Any]:
        """Return a column as it was just before some times.

        Args:
            column: the column's name.
            rows: int64 (N,), catalogue rows. A row of -1, an unknown item, has the value of another item.
            at_s: float64 (N,), epoch seconds.
        """
        now = np.asarray(self._catalogue.columns[column]).take(rows, mode="wrap")
        place, known = self._place.take(rows, mode="wrap"), self._known.take(rows, mode="wrap")
        if self.columns[column] == "log_count":
            then = log_count(self._counts(place, at_s)).astype(now.dtype)
        else:
            then = np.where(self._first_s.take(place) < at_s, now, 0).astype(now.dtype)
        return np.where(known, then, now)

    def of_candidates(self, column: str, batch: RaggedBatch, request_of: NDArray[np.int64]) -> NDArray[Any]:
        """Return a column for the candidates, (N,), as of the time of each list.

        Values that the batch has itself stay: those of items that were sent with their features.

        Raises:
            ArtifactError: the lists have no times.
        """
        own, index = batch.candidates.get(f"item.{column}"), batch.candidates.get(SENT)
        if own is not None and index is None:
            return own
        rows = np.where(batch.rows < FIRST_UNKNOWN_ROW, batch.rows, -1)
        then = self.values(column, rows, self.times_of(batch)[request_of])
        return then if own is None or index is None else np.where(index >= 0, own, then)

    def times_of(self, batch: RaggedBatch) -> NDArray[np.float64]:
        """Return the time of each list, float64 (B,).

        Raises:
            ArtifactError: the lists have no times.
        """
        times = batch.requests.get(NOW)
        if not isinstance(times, np.ndarray):
            raise ArtifactError(f"the lists have no {NOW}; build the data set again")
        return times

    def _counts(self, place: NDArray[np.int64], at_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many events of the items lie strictly before the times, int64 (N,)."""
        times, events = self._ordered
        wanted = place * (len(times) + 1) + np.searchsorted(times, at_s)
        return np.asarray(np.searchsorted(events, wanted) - self._offsets[place])

    @cached_property
    def _ordered(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The different times, and one ascending number per event over its item and time."""
        times, rank = np.unique(self._at_s, return_inverse=True)
        item = np.repeat(np.arange(len(self._offsets) - 1), np.diff(self._offsets))
        return times, item * (len(times) + 1) + rank

    @cached_property
    def _first_s(self) -> NDArray[np.float64]:
        """Each item's first event, or infinity."""
        first = np.full(len(self._offsets) - 1, np.inf)
        has_events = np.diff(self._offsets) > 0
        first[has_events] = self._at_s[self._offsets[:-1][has_events]]
        return first
