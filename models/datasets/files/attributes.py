"""Features of items or users from a table with one row per id: numbers, categories, vectors, positions, texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.datasets.attribute_config import AttributesConfig
from models.datasets.files.attribute_columns import categories, filled, read_column, read_position, vectors_of
from models.datasets.files.problems import BadRows, Part
from models.datasets.files.progress import Progress
from models.datasets.files.tables import Table
from models.datasets.files.values import ids_of, numbers_of, texts_of
from models.datasets.files.vector_store import VectorStore
from models.errors import ArtifactError

POSITION, EMBEDDING = "position", "embedding"


@dataclass(frozen=True)
class Attributes:
    """The features of R ids.

    Attributes:
        location: the table, for messages.
        ids: R ids.
        values: features by name, float32 (R, ...).
        defaults: the value for ids without a row, by feature.
        logs: features of which the model reads the logarithm.
        slots: the values of each category, in the order of its slots. Empty if they are hashed.
        shown: texts by column.
        ordering: numbers that order the ids, (R,), NaN if unknown. None: their order in the table.
    """

    location: str
    ids: pa.Array
    values: Mapping[str, NDArray[np.float32]]
    defaults: Mapping[str, float] = field(default_factory=dict)
    logs: tuple[str, ...] = ()
    slots: Mapping[str, list[str]] = field(default_factory=dict)
    shown: Mapping[str, pa.ChunkedArray] = field(default_factory=dict)
    ordering: NDArray[np.float64] | None = None

    @property
    def position(self) -> str | None:
        """The name of the feature with the position."""
        return POSITION if POSITION in self.values else None

    def columns(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Return the features of some rows. Row -1 has the defaults."""
        taken = {}
        for name, values in self.values.items():
            taken[name] = values[np.maximum(rows, 0)]
            taken[name][rows < 0] = self.defaults.get(name, 0.0)
        return taken

    def texts(self, rows: NDArray[np.int64]) -> dict[str, list[str | None]]:
        """Return the texts of some rows by column. Row -1 has none."""
        indices = pa.array(np.where(rows < 0, 0, rows), mask=rows < 0)
        return {name: column.take(indices).to_pylist() for name, column in self.shown.items()}

    def popularity(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return numbers above 0 up to 1 for some rows: 1 for the most popular id, and 0 for row -1.

        Equal numbers of the column have equal popularity. Rows without a number are the least popular.
        """
        count = len(self.ids)
        order = -np.arange(count, dtype=np.float64) if self.ordering is None else self.ordering
        known = np.unique(np.where(np.isnan(order), -np.inf, order), return_inverse=True)
        popularity = (known[1] + 1) / max(1, len(known[0]))
        return np.where(rows < 0, 0.0, popularity[np.maximum(rows, 0)]).astype(np.float32)


def read_attributes(
    table: Table,
    config: AttributesConfig,
    bad: BadRows,
    progress: Progress,
    vectors: VectorStore | None = None,
) -> Attributes:
    """Read the features of a table.

    An empty number becomes the median. The first row of an id counts, and further rows are bad. The vectors of texts
    are kept in ``vectors``.

    Raises:
        ArtifactError: the table cannot be read, a row is bad and bad rows are not skipped, or no row is left.
    """
    columns = {name: one.column or name for name, one in config.features.items()}
    needed = [config.id, *columns.values(), *(config.position or ()), *config.texts]
    if config.popularity is not None:
        needed.append(config.popularity)
    ordering: list[NDArray[np.float64]] = []
    ids: list[pa.Array] = []
    parts: dict[str, list[Any]] = {name: [] for name in (*columns, POSITION)}
    shown: dict[str, list[pa.Array]] = {name: [] for name in config.texts}
    seen: set[str] = set()
    for part in table.parts(needed, bad):
        names, good = ids_of(part, config.id, bad)
        good &= ~_repeated(part, config.id, names, good, seen, bad)
        found: dict[str, Any] = {}
        for name, one in config.features.items():
            found[name], fits = read_column(part, columns[name], one, bad)
            good &= fits
        if config.position is not None:
            found[POSITION], fits = read_position(part, config.position, bad)
            good &= fits
        if config.popularity is not None:
            numbers, fits = numbers_of(part, config.popularity, bad)
            good &= fits
            ordering.append(numbers[good])
        mask = pa.array(good)
        ids.append(names.filter(mask))
        for name, read in found.items():
            parts[name].append(read.filter(mask) if isinstance(read, pa.Array) else read[good])
        for name in config.texts:
            shown[name].append(texts_of(part, name, bad).filter(mask))
        progress(f"reading {table.location.rsplit('/', 1)[-1]}", part.done, table.bytes)
    if not sum(len(chunk) for chunk in ids):
        raise ArtifactError(f"{table.location}: has no row that can be used; name another file")
    joined = pa.concat_arrays(ids)
    values: dict[str, NDArray[np.float32]] = {}
    defaults: dict[str, float] = {}
    slots: dict[str, list[str]] = {}
    for name, one in config.features.items():
        if one.kind == "number":
            values[name], defaults[name] = filled(np.concatenate(parts[name]))
        elif one.kind == "vector":
            values[name] = vectors_of(table, columns[name], parts[name])
        else:
            values[name], slots[name] = categories(columns[name], parts[name], one, bad)
    if config.position is not None:
        values[POSITION] = np.concatenate(parts[POSITION])
    texts = {name: pa.chunked_array(chunks, pa.string()) for name, chunks in shown.items()}
    if config.embed is not None and texts:
        from models.datasets.files.embedding import embedded

        values[EMBEDDING] = embedded(config.embed, list(texts.values()), progress, vectors)
    logs = tuple(name for name, one in config.features.items() if one.log)
    order = np.concatenate(ordering) if ordering else None
    return Attributes(table.location, joined, values, defaults, logs, slots, texts, order)


def _repeated(
    part: Part, column: str, ids: pa.Array, good: NDArray[np.bool_], seen: set[str], bad: BadRows
) -> NDArray[np.bool_]:
    again = np.zeros(len(ids), dtype=np.bool_)
    for row, one in enumerate(ids.to_pylist()):
        if good[row]:
            again[row] = one in seen
            seen.add(one)
    bad.report(part, again, column, "must have each id once", "remove the row", ids)
    return again
