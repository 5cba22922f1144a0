"""The catalogue: the items, stored as columns and mapped into memory by every replica that needs them.

A catalogue is a folder with these files:

- ``catalogue.yaml``: version, feature hash and column names.
- ``<column>.npy`` for each column, ``ids.npy`` and ``keys.npy``.
- ``details.npy`` and ``details_offsets.npy``: the items' details, end to end: JSON objects, for places GeoJSON.

Rows are ordered by key. An item's key is a 63-bit hash of its id, the same in every catalogue version. Histories hold
keys, batches hold rows.
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import ArtifactError
from models.features.mapped_file import MappedFile

MANIFEST, KEYS = "catalogue.yaml", "keys"
_IDS_AT_ONCE = 10_000
"""Other threads can run after each conversion of so many ids."""


class CatalogueManifest(BaseModel):
    """Content of ``catalogue.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    feature_hash: str
    item_count: int
    columns: tuple[str, ...]
    position_column: str | None = None
    attribution: str = ""


def item_key(item_id: str) -> int:
    """Return an item's 63-bit key, which is the same in every version."""
    digest = hashlib.blake2b(item_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def label_of(version: str, state: str) -> str:
    """Return a catalogue's version with its deltas, as it is shown to users."""
    return f"{version}+{state}" if state else version


class Catalogue:
    """A catalogue that is open for reading. Its arrays are memory maps, except ``ids``.

    Attributes:
        dead: int64, ascending: rows that are no longer in use, because a delta has changed or removed their items.
        state: the deltas that are included. Empty if there are none.
        files: the files of the columns and the keys. Empty if the catalogue was not made by ``open``.
    """

    dead: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    state = ""

    def __init__(self, root: Path, manifest: CatalogueManifest, columns: dict[str, NDArray[Any]]) -> None:
        """Load keys, ids and details from ``root``. Call ``Catalogue.open`` instead."""
        self.root = root
        self.manifest = manifest
        self.columns = columns
        self.files: Mapping[str, MappedFile] = {}
        self.keys: NDArray[np.int64] = np.load(root / "keys.npy", mmap_mode="r")
        self._details = np.load(root / "details.npy", mmap_mode="r")
        self._detail_offsets = np.load(root / "details_offsets.npy", mmap_mode="r")
        ids = np.load(root / "ids.npy")
        self.ids: list[str] = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            self.ids += ids[start : start + _IDS_AT_ONCE].astype(str).tolist()

    @classmethod
    def open(cls, root: Path) -> Self:
        """Map the catalogue at ``root`` into memory.

        Raises:
            ArtifactError: there is no catalogue, or it cannot be read.
        """
        path = root / MANIFEST
        if not path.is_file():
            raise ArtifactError(f"no catalogue at {root}: {MANIFEST} is missing; build it first")
        try:
            manifest = CatalogueManifest.model_validate(yaml.load(path.read_text(), yaml.CSafeLoader))
            files = {name: MappedFile(root / f"{name}.npy") for name in (*manifest.columns, KEYS)}
            columns = {name: files[name].array for name in manifest.columns}
            catalogue = cls(root, manifest, columns)
            catalogue.keys, catalogue.files = files[KEYS].array, files
        except (ValidationError, yaml.YAMLError, OSError, EOFError, ValueError) as error:
            raise ArtifactError(f"catalogue at {root} cannot be read: {error}; build it again") from error
        lengths = {name: len(file.array) for name, file in files.items()} | {"ids": len(catalogue.ids)}
        for name, length in lengths.items():
            if length != manifest.item_count:
                raise ArtifactError(
                    f"catalogue column {name} at {root} has {length} rows, but {MANIFEST} says "
                    f"{manifest.item_count}; build it again"
                )
        return catalogue

    def __len__(self) -> int:
        """Return the number of rows. A catalogue with deltas also has rows that are no longer in use."""
        return self.manifest.item_count

    @property
    def item_count(self) -> int:
        """The number of items."""
        return len(self) - len(self.dead)

    @property
    def base(self) -> "Catalogue":
        """The catalogue without deltas."""
        return self

    def living(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows are in use, bool (N,)."""
        places = np.searchsorted(self.dead, rows).clip(max=max(0, len(self.dead) - 1))
        return self.dead[places] != rows if len(self.dead) else np.ones(len(rows), dtype=np.bool_)

    @property
    def label(self) -> str:
        """The version, and the deltas that are included, as it is shown to users."""
        return label_of(self.manifest.version, self.state)

    @cached_property
    def identity(self) -> str:
        """12 hex digits over the manifest and the keys. Deltas belong to the catalogue with one identity."""
        digest = hashlib.blake2b(self.manifest.model_dump_json().encode(), digest_size=6)
        digest.update(np.ascontiguousarray(self.keys).data)
        return digest.hexdigest()

    def has_state(self, state: str) -> bool:
        """Return whether this catalogue has all rows of that state. A row stands for the same item in every state."""
        return state == ""

    @cached_property
    def row_by_id(self) -> Mapping[str, int]:
        """Row number by item id."""
        ids = islice(self.ids, len(self))  # later states append to the same list
        return {item_id: row for row, item_id in enumerate(ids)}

    def index_ids(self) -> None:
        """Make ``row_by_id`` now. Otherwise the first caller waits for it: about half a second for a million items."""
        _ = self.row_by_id

    def rows_of_keys(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the int64 row of each key, -1 for items that this version does not have."""
        if not len(self.keys):
            return np.full(len(keys), -1, dtype=np.int64)
        rows = np.searchsorted(self.keys, keys).astype(np.int64)
        rows[rows == len(self.keys)] = 0
        rows[self.keys[rows] != keys] = -1
        return rows

    def details(self, row: int) -> bytes:
        """Return the item's stored JSON document."""
        start, end = self._detail_offsets[row], self._detail_offsets[row + 1]
        return bytes(self._details[start:end])
