"""The rows of event files as arrays, in bounded memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.files.ids import Ids
from models.datasets.files.problems import BadRows
from models.datasets.files.progress import Progress
from models.datasets.files.tables import Table
from models.datasets.files.times import times_of, zone_of
from models.datasets.files.values import ids_of, numbers_of, texts_of
from models.errors import ArtifactError

FEWEST_EVENTS = 10


@dataclass(frozen=True)
class EventRows:
    """E events, without their users and items: float64 (E,), float32 (E,) and float32 (E,)."""

    at_s: NDArray[np.float64]
    value: NDArray[np.float32]
    relevance: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.at_s)


def read_event_rows(
    table: Table, config: EventsConfig, users: Ids, items: Ids, bad: BadRows, progress: Progress
) -> EventRows:
    """Read the events. Their users and items are added to ``users`` and ``items``.

    Raises:
        ArtifactError: a file cannot be read, a row is bad and bad rows are not skipped, or too few events are left.
    """
    columns = config.columns
    assert columns is not None
    if config.time.zone is not None:
        zone_of(config.time.zone)
    numbers: dict[str, list[NDArray[Any]]] = {"at_s": [], "value": [], "relevance": []}
    needed = [name for name in vars(columns).values() if name is not None]
    for part in table.parts(needed, bad):
        user, good = ids_of(part, columns.user, bad)
        item, fits = ids_of(part, columns.item, bad)
        good &= fits
        at_s, fits = times_of(part, columns.time, config.time, bad)
        good &= fits
        relevance = np.ones(len(at_s), dtype=np.float32)
        if columns.kind is not None and config.kinds:
            kinds = texts_of(part, columns.kind, bad)
            relevance = relevance_of_kinds(kinds, config.kinds, "training.events.kinds", bad)
            good &= ~np.isnan(relevance)
        value = relevance.astype(np.float64)
        if columns.value is not None:
            value, fits = numbers_of(part, columns.value, bad)
            value, good = np.nan_to_num(value, nan=0.0), good & fits
        mask = pa.array(good)
        users.add(user.filter(mask))
        items.add(item.filter(mask))
        numbers["at_s"].append(at_s[good])
        numbers["value"].append(value[good].astype(np.float32))
        numbers["relevance"].append(relevance[good])
        progress("reading the events", part.done, table.bytes)
    count = sum(len(times) for times in numbers["at_s"])
    if count < FEWEST_EVENTS:
        raise ArtifactError(
            f"{table.location}: must have at least {FEWEST_EVENTS} events that can be used, got {count}; name another "
            f"file, or correct training.events"
        )
    return EventRows(**{name: np.concatenate(chunks) for name, chunks in numbers.items()})


def relevance_of_kinds(
    kinds: pa.Array, relevance: Mapping[str, float], field: str, bad: BadRows
) -> NDArray[np.float32]:
    """Return the relevance by row, NaN for kinds without a relevance, which are counted."""
    encoded = kinds.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    table = np.array([*(relevance.get(name, np.nan) for name in names), np.nan], dtype=np.float32)
    codes = np.asarray(encoded.indices.fill_null(len(names)))
    left_out = np.bincount(codes, minlength=len(table))
    for name, count in zip([*names, "(empty)"], left_out.tolist(), strict=True):
        if count and name not in relevance:
            bad.counts[f"kind {name} is not in {field}"] += count
    return np.asarray(table[codes])
