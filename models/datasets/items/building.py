"""Build a catalogue from a table, in parts of a bounded size."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows
from models.datasets.files.progress import Progress
from models.datasets.files.tables import Table
from models.datasets.items.details import details_of
from models.datasets.items.rows import ColumnSpec, TableChoice, item_rows
from models.errors import ArtifactError
from models.features.catalogue import CatalogueManifest
from models.features.catalogue_in_chunks import Items, write_catalogue_in_chunks
from models.features.definition import Feature, FeatureSet


def choice_of(
    features: FeatureSet,
    table: Table,
    item_id: str,
    *,
    renamed: Mapping[str, str],
    position: tuple[str, str] | None,
    position_feature: str | None,
    texts: Sequence[str] = (),
    details: str | None = None,
) -> TableChoice:
    """Return what to read from a table for some feature definitions.

    Args:
        features: the feature definitions.
        table: the table.
        item_id: the column with the ids.
        renamed: columns of the table by feature, if the names differ.
        position: the columns with latitude and longitude.
        position_feature: the feature that they make.
        texts: text columns, which the details show.
        details: the column with whole details.

    Raises:
        ArtifactError: the table lacks a column.
    """
    supplied = {feature.name: feature for feature in features.supplied("item")}
    for name, source in renamed.items():
        if name not in supplied:
            raise ArtifactError(
                f"--column {name}={source}: not an item feature of the definitions; name one of "
                f"{', '.join(supplied) or 'none'}"
            )
    columns = []
    for name, feature in supplied.items():
        sources = (
            position if position is not None and name == position_feature else (renamed.get(name, name),)
        )
        columns.append(ColumnSpec(name, sources, np.dtype(feature.dtype), feature.shape))
    choice = TableChoice(item_id, columns, texts, details)
    for source in choice.sources:
        if source not in table.columns:
            feature_of = next((column.name for column in columns if source in column.sources), None)
            remedy = "" if feature_of is None else f", or name it with --column {feature_of}=COLUMN"
            raise ArtifactError(
                f"{table.location}: no column {source!r}, got {', '.join(table.columns)}; add the column{remedy}"
            )
    return choice


def build_catalogue(
    root: Path,
    table: Table,
    choice: TableChoice,
    features: FeatureSet,
    bad: BadRows,
    progress: Progress,
    *,
    name: str,
    version: str | None,
    position_column: str | None,
    attribution: str = "",
) -> CatalogueManifest:
    """Write the catalogue completely or not at all. An empty value becomes the feature's default.

    Raises:
        ArtifactError: the table cannot be used, or an id repeats.
        OSError: the folder cannot be written.
    """
    return write_catalogue_in_chunks(
        root,
        _items(table, choice, features, bad, progress),
        name=name,
        features=features,
        version=version,
        position_column=position_column,
        attribution=attribution,
    )


def _items(
    table: Table, choice: TableChoice, features: FeatureSet, bad: BadRows, progress: Progress
) -> Iterator[Items]:
    by_name = {feature.name: feature for feature in features.supplied("item")}
    for rows in item_rows(table, choice, bad, progress):
        if not rows.ids:
            continue
        columns = {n: _with_default(v, rows.given[n], by_name[n]) for n, v in rows.values.items()}
        yield Items(rows.ids, columns, details_of(rows.ids, rows.texts, rows.details))


def _with_default(values: NDArray[Any], given: NDArray[np.bool_], feature: Feature) -> NDArray[Any]:
    if not given.all():
        values[~given] = feature.default_value()
    return values
