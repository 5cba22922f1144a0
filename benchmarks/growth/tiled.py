"""A home whose catalogue has any number of items: the items of an existing catalogue, again and again.

The walks' models, users and overlay fit such a catalogue, because its columns and its feature hash are the same.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.lib import format as npy
from numpy.typing import NDArray

from models.features.catalogue import MANIFEST, Catalogue, item_key

_AT_ONCE = 1 << 18
_DETAILS = b"{}"


def write_tiled_catalogue(
    root: Path, source: Catalogue, items: int, manifest: Mapping[str, Any] | None = None
) -> None:
    """Write a catalogue with ``items`` items, which begin with the source's own. Details are empty.

    Args:
        root: the folder.
        source: the catalogue whose columns are repeated.
        items: the number of items.
        manifest: changes to the source's manifest.
    """
    root.mkdir(parents=True)
    own = source.ids[:items]
    ids = [*own, *(f"t-{number:09d}" for number in range(items - len(own)))]
    keys = np.fromiter((item_key(item_id) for item_id in ids), np.int64, items)
    order = np.argsort(keys)
    np.save(root / "keys.npy", keys[order])
    np.save(root / "ids.npy", np.array(ids, dtype="S")[order])
    np.save(root / "details.npy", np.frombuffer(_DETAILS * items, np.uint8))
    np.save(root / "details_offsets.npy", np.arange(items + 1, dtype=np.int64) * len(_DETAILS))
    for name, column in source.columns.items():
        _write_column(root / f"{name}.npy", np.asarray(column), order)
    changes = {"item_count": items, "version": f"tiled-{items}"} | dict(manifest or {})
    document = source.manifest.model_dump(mode="json") | changes
    (root / MANIFEST).write_text(yaml.safe_dump(document, sort_keys=False))


def _write_column(path: Path, column: NDArray[Any], order: NDArray[np.int64]) -> None:
    target = npy.open_memmap(path, "w+", column.dtype, (len(order), *column.shape[1:]))
    for first in range(0, len(order), _AT_ONCE):
        rows = order[first : first + _AT_ONCE] % len(column)
        target[first : first + len(rows)] = column[rows]
    target.flush()


def home_with(home: Path, source_home: Path, catalogue: Path, items: int) -> None:
    """Write a tiled catalogue into ``home``, and link all other data of the source's home.

    Args:
        home: an empty folder.
        source_home: the home with the data.
        catalogue: the catalogue's path in both homes.
        items: the number of items.
    """
    _link(home, source_home, catalogue.parts)
    write_tiled_catalogue(home / catalogue, Catalogue.open(source_home / catalogue), items)


def _link(target: Path, source: Path, path: tuple[str, ...]) -> None:
    """Link all entries of a folder, except for the one on the path, whose folders are made."""
    target.mkdir(exist_ok=True)
    for entry in source.iterdir():
        if entry.name != path[0]:
            (target / entry.name).symlink_to(entry)
        elif len(path) > 1:
            _link(target / entry.name, entry, path[1:])
