"""The catalogue: the items, stored as columns and mapped into memory by every replica that needs them.

A catalogue is a folder with these files:

- ``catalogue.yaml``: version, feature hash and column names.
- ``<column>.npy`` for each column, ``ids.npy`` and ``keys.npy``.
- ``details.npy`` and ``details_offsets.npy``: the items' details, end to end: JSON objects, for places GeoJSON.

Rows are ordered by key. An item's key is a 63-bit hash of its id, the same in every catalogue version. Histories hold
keys, batches hold rows.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.atomic_directory import written_whole
from models.errors import ArtifactError
from models.features.definition import FeatureSet
from models.features.mapped_file import MappedFile
from models.features.transforms import transformed
from models.ragged import offsets_of

MANIFEST, KEYS = "catalogue.yaml", "keys"


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
        self.ids: list[str] = np.load(root / "ids.npy").astype(str).tolist()

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


def write_catalogue(
    root: Path,
    *,
    name: str,
    version: str,
    features: FeatureSet,
    ids: Sequence[str],
    columns: Mapping[str, NDArray[Any]],
    details: Sequence[bytes] | None = None,
    position_column: str | None = None,
    attribution: str = "",
) -> None:
    """Write a catalogue completely or not at all, with rows in key order, and replace an existing catalogue.

    Derived item features are computed here, so ``columns`` does not need them. Without ``details`` each item has a JSON
    object with its id only.

    Raises:
        ArtifactError: an id occurs twice, or a column is missing or does not have one row per id.
    """
    columns = with_derived(name, features, columns)
    keys = np.array([item_key(item_id) for item_id in ids], dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    if len(np.unique(keys)) != len(keys):
        raise ArtifactError(f"catalogue {name}: item ids repeat; make each id unique")
    for column, values in columns.items():
        if len(values) != len(ids):
            raise ArtifactError(
                f"catalogue {name}: column {column} has {len(values)} rows for {len(ids)} ids; write one row per id"
            )
    with written_whole(root) as staging:
        if details is None:
            details = [json.dumps({"id": item_id}).encode() for item_id in ids]
        blobs = [details[i] for i in order]
        arrays: dict[str, NDArray[Any]] = {column: values[order] for column, values in columns.items()}
        arrays["keys"] = keys[order]
        arrays["ids"] = np.array([ids[i].encode() for i in order], dtype=np.bytes_)
        arrays["details"] = np.frombuffer(b"".join(blobs), dtype=np.uint8)
        arrays["details_offsets"] = offsets_of(np.array([len(blob) for blob in blobs], dtype=np.int64))
        for file_name, values in arrays.items():
            np.save(staging / f"{file_name}.npy", np.ascontiguousarray(values))
        manifest = CatalogueManifest(
            name=name,
            version=version,
            feature_hash=features.content_hash,
            item_count=len(ids),
            columns=tuple(columns),
            position_column=position_column,
            attribution=attribution,
        )
        (staging / MANIFEST).write_text(yaml.safe_dump(manifest.model_dump(mode="json"), sort_keys=False))


def with_derived(
    name: str, features: FeatureSet, columns: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return the columns of a catalogue with its derived item features.

    Raises:
        ArtifactError: a column that a feature is computed from is missing.
    """
    result = dict(columns)
    for feature in features.derived:
        if feature.group == "item" and feature.transform is not None:
            source = feature.transform.of.removeprefix("item.")
            if source not in result:
                raise ArtifactError(
                    f"catalogue {name}: {feature.column} is computed from column {source}, which is missing; add it"
                )
            result[feature.name] = transformed(feature.transform, result[source], None).astype(feature.dtype)
    return result
