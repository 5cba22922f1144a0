"""The vectors of texts that earlier builds have encoded, by encoder and text. It is a cache and can be deleted."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.datasets.files.checked import read_batch, save_batch

_SUFFIX = ".vectors"
_KEY_BYTES = 16
Vectors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class VectorStore:
    """Vectors of texts, in one file, and in further files while a build encodes texts.

    Attributes:
        root: the folder.
        staging: an empty folder on the same disk, for files that are being written.
    """

    root: Path
    staging: Path

    def load(self, encoder: str, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the kept vectors of some texts.

        Args:
            encoder: a text that changes if the encoder changes.
            texts: the texts.
        """
        by_key = {_key(text): text for text in texts}
        found = {}
        for path in self._paths(encoder):
            batch = read_batch(path)
            if batch is not None:
                width = batch.column("vector").type.list_size
                vectors = np.asarray(batch.column("vector").flatten()).reshape(-1, width)
                for key, vector in zip(batch.column("key").to_pylist(), vectors, strict=True):
                    if key in by_key:
                        found[by_key[key]] = vector
        return found

    def add(self, encoder: str, vectors: Vectors) -> None:
        """Keep further vectors, completely or not at all.

        Raises:
            ArtifactError: the folder cannot be written.
            OSError: the disk is full.
        """
        paths = self._paths(encoder)
        number = 1 + (int(paths[-1].stem.split("-")[1]) if paths else 0)
        path = self.root / f"{_name(encoder)}-{number:06}-{len(vectors)}{_SUFFIX}"
        stacked = np.stack(list(vectors.values()))
        columns: list[Any] = [
            pa.array([_key(text) for text in vectors], pa.binary(_KEY_BYTES)),
            pa.FixedSizeListArray.from_arrays(stacked.reshape(-1), stacked.shape[1]),
        ]
        save_batch(path, pa.record_batch(columns, names=["key", "vector"]), self.staging)

    def keep_only(self, encoder: str, vectors: Vectors) -> None:
        """Keep these vectors in one file, and remove all others, also those of other encoders.

        Raises:
            ArtifactError: the folder cannot be written.
            OSError: the disk is full.
        """
        others = list(self.root.glob(f"*{_SUFFIX}"))
        if [path.stem.split("-")[::2] for path in others] == [[_name(encoder), str(len(vectors))]]:
            return
        if vectors:
            self.add(encoder, vectors)
        for path in others:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all vectors."""
        for path in self.root.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)

    def _paths(self, encoder: str) -> list[Path]:
        return sorted(self.root.glob(f"{_name(encoder)}-*{_SUFFIX}"))


def _name(encoder: str) -> str:
    return hashlib.sha256(encoder.encode()).hexdigest()[:20]


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_KEY_BYTES).digest()
