"""Make the delta of a catalogue from a table of items."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows
from models.datasets.files.progress import Progress
from models.datasets.files.tables import Table
from models.datasets.items.details import details_of
from models.datasets.items.rows import ColumnSpec, ItemRows, TableChoice, item_rows
from models.errors import ArtifactError
from models.features.catalogue import Catalogue, item_key
from models.features.catalogue_writer import with_derived
from models.features.definition import FeatureSet
from models.features.deltas.delta import Delta

_SHOWN = 80  # characters of an id that an error repeats


def choice_for(
    catalogue: Catalogue,
    features: FeatureSet,
    table: Table,
    item_id: str,
    *,
    renamed: Mapping[str, str],
    position: tuple[str, str] | None = None,
    details: str | None = None,
) -> TableChoice:
    """Return what to read from a table: the columns that both have, and the texts that the catalogue shows.

    Args:
        catalogue: the catalogue.
        features: the feature definitions.
        table: the table.
        item_id: the table's column with the ids.
        renamed: columns of the table by column of the catalogue, if the names differ.
        position: the table's columns with latitude and longitude.
        details: the table's column with whole details.

    Raises:
        ArtifactError: a column that was named does not exist, or the table has no column of the catalogue.
    """
    derived = {f.name for f in features.derived if f.group == "item"}
    own = {name: column for name, column in catalogue.columns.items() if name not in derived}
    for name, source in renamed.items():
        if name not in own:
            raise ArtifactError(
                f"--column {name}={source}: the catalogue has no such column; name one of {', '.join(own)}"
            )
    _expect(table, [item_id, *renamed.values(), *(position or ()), *(() if details is None else (details,))])
    place = catalogue.manifest.position_column
    if position is not None and place is None:
        raise ArtifactError("--position: this catalogue has no column with positions; leave it out")
    columns = []
    for name, column in own.items():
        sources = position if position is not None and name == place else (renamed.get(name, name),)
        if all(source in table.columns for source in sources):
            columns.append(ColumnSpec(name, sources, column.dtype, column.shape[1:]))
    texts = [name for name in _properties(catalogue) if name in table.columns and details is None]
    if not columns and not texts and details is None and own:
        raise ArtifactError(
            f"{table.location}: has no column of the catalogue, got {', '.join(table.columns)}; name them as the "
            f"catalogue does ({', '.join(own)}), or with --column NAME=COLUMN"
        )
    return TableChoice(item_id, columns, texts, details)


def delta_from(
    table: Table,
    choice: TableChoice,
    catalogue: Catalogue,
    features: FeatureSet,
    bad: BadRows,
    progress: Progress,
) -> Delta:
    """Return the delta that adds the items of a table, or changes those that the catalogue has.

    A changed item keeps the values that its row lacks. A new item has the definitions' defaults for them.

    Raises:
        ArtifactError: the table cannot be used, or an id repeats, or a new item lacks a value without a default.
    """
    parts = list(item_rows(table, choice, bad, progress))
    rows = _joined(parts, choice)
    if not rows.ids:
        raise ArtifactError(f"{table.location}: has no row that can be used; name another file")
    if len(set(rows.ids)) < len(rows.ids):
        seen: set[str] = set()
        repeated = next(one for one in rows.ids if one in seen or seen.add(one))  # type: ignore[func-returns-value]
        raise ArtifactError(
            f"{table.location}: column {choice.id} must have each id once, got {repeated!r} twice; remove a row"
        )
    present = rows_of_ids(catalogue, rows.ids)
    derived = {f.name for f in features.derived if f.group == "item"}
    columns = {
        name: _filled(name, column, rows, present, features, table)
        for name, column in catalogue.columns.items()
        if name not in derived
    }
    completed = with_derived(catalogue.manifest.name, features, columns)
    before = [None if row < 0 else catalogue.details(row) for row in present.tolist()]
    return Delta(
        rows.ids,
        {name: completed[name] for name in catalogue.columns},
        details_of(rows.ids, rows.texts, rows.details, before),
    )


def removal_of(catalogue: Catalogue, ids: Sequence[str]) -> Delta:
    """Return the delta that removes items.

    Raises:
        ArtifactError: the catalogue does not have an item.
    """
    unique = list(dict.fromkeys(ids))
    rows = rows_of_ids(catalogue, unique)
    unknown = [item_id for item_id, row in zip(unique, rows.tolist(), strict=True) if row < 0]
    if unknown:
        shown = ", ".join(item_id[:_SHOWN] for item_id in unknown[:5])
        raise ArtifactError(
            f"items: {len(unknown)} of {len(unique)} are not in catalogue {catalogue.manifest.name}, got {shown}; name "
            f"items of the catalogue. Nothing was removed"
        )
    empty = {
        name: np.empty((0, *column.shape[1:]), column.dtype) for name, column in catalogue.columns.items()
    }
    return Delta([], empty, [], unique)


def rows_of_ids(catalogue: Catalogue, ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the int64 row of each id, -1 for items that the catalogue does not have. It needs no index of all ids."""
    return catalogue.rows_of_keys(np.array([item_key(item_id) for item_id in ids], dtype=np.int64))


def _filled(
    name: str,
    column: NDArray[Any],
    rows: ItemRows,
    present: NDArray[np.int64],
    features: FeatureSet,
    table: Table,
) -> NDArray[Any]:
    """Return a column of the delta: the table's values, or else the catalogue's, or else the default."""
    count, has_row = len(rows.ids), present >= 0
    given = rows.given.get(name, np.zeros(count, dtype=np.bool_))
    values = np.zeros((count, *column.shape[1:]), dtype=column.dtype)
    if name in rows.values:
        values[given] = rows.values[name][given]
    kept, lacking = ~given & has_row, ~given & ~has_row
    values[kept] = column[present[kept]]
    if lacking.any():
        declared = next((f for f in features.supplied("item") if f.name == name), None)
        if declared is None:
            raise ArtifactError(
                f"{table.location}: the new item {rows.ids[int(np.argmax(lacking))]!r} has no {name}, which has no "
                f"default; add the column {name}"
            )
        values[lacking] = declared.default_value().astype(column.dtype)
    return values


def _joined(parts: Sequence[ItemRows], choice: TableChoice) -> ItemRows:
    names = [column.name for column in choice.columns]
    if not parts:
        return ItemRows([], {}, {}, {})
    return ItemRows(
        ids=[one for part in parts for one in part.ids],
        values={name: np.concatenate([part.values[name] for part in parts]) for name in names},
        given={name: np.concatenate([part.given[name] for part in parts]) for name in names},
        texts={name: [text for part in parts for text in part.texts[name]] for name in choice.texts},
        details=None if choice.details is None else [one for part in parts for one in part.details or ()],
    )


def _properties(catalogue: Catalogue) -> list[str]:
    """Return the names of the properties that the catalogue's first item shows."""
    try:
        properties = json.loads(catalogue.details(0)).get("properties") if len(catalogue) else None
    except (ValueError, AttributeError):
        return []
    return list(properties) if isinstance(properties, dict) else []


def _expect(table: Table, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.columns:
            raise ArtifactError(
                f"{table.location}: no column {name!r}; name one of {', '.join(table.columns)}"
            )
