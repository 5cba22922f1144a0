"""A delta: items that were added or changed, and items that were removed, as one file.

The file is an ``.npz`` archive. It is written completely or not at all, and its content has a hash. The hash also
covers the deltas before it, so two catalogues with equal states have the same items in the same rows.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.durable import replacing, sync_folder
from models.errors import ArtifactError
from models.ragged import offsets_of

_MANIFEST, _COLUMN = "manifest", "column."


class DeltaManifest(BaseModel):
    """Facts about a delta.

    Attributes:
        layout: the layout of the file.
        after: the catalogue's state before this delta.
        state: the catalogue's state with this delta: its number, and a hash over it and all deltas before.
        feature_hash: the content hash of the feature definitions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Literal[1] = 1
    after: str
    state: str
    feature_hash: str


@dataclass(frozen=True)
class Delta:
    """The changes.

    Attributes:
        ids: A items that are added or changed, each once.
        columns: (A, ...) by catalogue column.
        details: A JSON documents.
        removed: ids of items that are removed. None of them is in ``ids``.
    """

    ids: Sequence[str]
    columns: Mapping[str, NDArray[Any]]
    details: Sequence[bytes]
    removed: Sequence[str] = ()

    def manifest(self, after: str, feature_hash: str) -> DeltaManifest:
        """Return the manifest of this delta.

        Args:
            after: the catalogue's state before the delta.
            feature_hash: the content hash of the feature definitions.
        """
        state = f"{number_of(after) + 1}.{_digest(after, self._arrays())}"
        return DeltaManifest(after=after, state=state, feature_hash=feature_hash)

    def write(self, path: Path, manifest: DeltaManifest) -> None:
        """Write the file completely or not at all, and wait until it is on disk.

        Raises:
            OSError: the file cannot be written.
        """
        arrays = self._arrays()
        arrays[_MANIFEST] = np.frombuffer(manifest.model_dump_json().encode(), dtype=np.uint8)
        with replacing(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # no array is named allow_pickle
        sync_folder(path.parent)

    @classmethod
    def read(cls, path: Path) -> tuple["Delta", DeltaManifest]:
        """Read a file.

        Raises:
            ArtifactError: the file is missing, damaged or has another layout.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
            manifest = DeltaManifest.model_validate(json.loads(arrays.pop(_MANIFEST).tobytes()))
            if manifest.state.partition(".")[2] != _digest(manifest.after, arrays):
                raise ValueError("its content does not have the hash that it states")
            delta = cls._of(arrays)
        except (
            OSError,
            ValueError,
            KeyError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
            ValidationError,
        ) as error:
            text = " ".join(str(error).split())[:200]
            raise ArtifactError(
                f"delta {path} cannot be read ({text or type(error).__name__}); copy the file again from where it was "
                f"made"
            ) from error
        return delta, manifest

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "ids": _packed(self.ids),
            "removed": _packed(self.removed),
            "details": np.frombuffer(b"".join(self.details), dtype=np.uint8),
            "details_offsets": offsets_of(np.array([len(blob) for blob in self.details], dtype=np.int64)),
            **{f"{_COLUMN}{name}": np.ascontiguousarray(v) for name, v in self.columns.items()},
        }

    @classmethod
    def _of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Delta":
        blob, offsets = arrays["details"].tobytes(), arrays["details_offsets"].tolist()
        delta = cls(
            ids=_unpacked(arrays["ids"]),
            columns={n.removeprefix(_COLUMN): v for n, v in arrays.items() if n.startswith(_COLUMN)},
            details=[blob[start:end] for start, end in pairwise(offsets)],
            removed=_unpacked(arrays["removed"]),
        )
        count = len(delta.ids)
        if len(delta.details) != count or any(len(values) != count for values in delta.columns.values()):
            raise ValueError("its arrays have different lengths")
        return delta


def number_of(state: str) -> int:
    """Return the number of the last delta in a state. 0 if there is none."""
    return int(state.partition(".")[0] or 0)


def _packed(ids: Sequence[str]) -> NDArray[Any]:
    return np.array([item_id.encode() for item_id in ids], dtype=np.bytes_)


def _unpacked(ids: NDArray[Any]) -> list[str]:
    return [item_id.decode() for item_id in ids.tolist()] if ids.size else []


def _digest(after: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return 12 hex digits over a delta's content and the state before it."""
    digest = hashlib.blake2b(after.encode(), digest_size=6)
    for name in sorted(arrays):
        values = arrays[name]
        digest.update(f"|{name}|{values.dtype.str}|{values.shape}|".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
