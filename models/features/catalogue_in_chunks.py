"""Write a catalogue from chunks of items, in memory that holds only keys, order and text lengths of all items.

The chunks are written in their own order first. Then every array is written again in the order of keys.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from models.atomic_directory import written_whole
from models.errors import ArtifactError
from models.features.catalogue import MANIFEST, CatalogueManifest, item_key
from models.features.catalogue_writer import with_derived
from models.features.definition import FeatureSet
from models.npy_append import GrowingArray
from models.ragged import gather_positions, offsets_of

_AT_ONCE = 65_536
_TEXTS = ("ids", "details")


@dataclass(frozen=True)
class Items:
    """Some items.

    Attributes:
        columns: (N, ...) by name, without derived features.
        details: N JSON documents.
    """

    ids: Sequence[str]
    columns: Mapping[str, NDArray[Any]]
    details: Sequence[bytes]


def write_catalogue_in_chunks(
    root: Path,
    chunks: Iterable[Items],
    *,
    name: str,
    features: FeatureSet,
    version: str | None = None,
    position_column: str | None = None,
    attribution: str = "",
    others: Mapping[str, str] | None = None,
) -> CatalogueManifest:
    """Write a catalogue completely or not at all, and replace an existing one.

    Args:
        root: the catalogue's folder.
        chunks: the items.
        name: the catalogue's name.
        features: the feature definitions.
        version: the version. None: a hash of the content.
        position_column: the column with latitude and longitude.
        attribution: where the data come from.
        others: the content of further files of the folder, by name.

    Raises:
        ArtifactError: there is no item, an id occurs twice, or a column is missing.
        OSError: the folder cannot be written.
    """
    with written_whole(root) as staging:
        arrived = staging / "arrived"
        arrived.mkdir()
        columns, keys, lengths = _write_as_they_come(arrived, chunks, name, features)
        order = np.argsort(keys, kind="stable")
        _refuse_repeated(arrived, keys[order], order, lengths["ids"])
        np.save(staging / "keys.npy", keys[order])
        for column in columns:
            _reorder(arrived / f"{column}.npy", staging / f"{column}.npy", order)
        _write_ids(arrived / "ids.npy", staging / "ids.npy", order, lengths["ids"])
        _reorder_texts(arrived / "details.npy", staging / "details.npy", order, lengths["details"])
        np.save(staging / "details_offsets.npy", offsets_of(lengths["details"][order]))
        for path in sorted(arrived.iterdir()):
            path.unlink()
        arrived.rmdir()
        manifest = CatalogueManifest(
            name=name,
            version=version or _hash_of(staging),
            feature_hash=features.content_hash,
            item_count=len(keys),
            columns=columns,
            position_column=position_column,
            attribution=attribution,
        )
        (staging / MANIFEST).write_text(yaml.safe_dump(manifest.model_dump(mode="json"), sort_keys=False))
        for file, content in (others or {}).items():
            (staging / file).write_text(content)
    return manifest


def _write_as_they_come(
    arrived: Path, chunks: Iterable[Items], name: str, features: FeatureSet
) -> tuple[tuple[str, ...], NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """Write all arrays in the order of the chunks. Return the columns, the keys, and the texts' lengths."""
    keys: list[NDArray[np.int64]] = []
    lengths: dict[str, list[NDArray[np.int64]]] = {text: [] for text in _TEXTS}
    files: dict[str, GrowingArray] = {}
    columns: tuple[str, ...] = ()
    try:
        for items in chunks:
            arrays = with_derived(name, features, items.columns)
            columns = columns or tuple(arrays)
            encoded = [item_id.encode() for item_id in items.ids]
            keys.append(np.array([item_key(item_id) for item_id in items.ids], dtype=np.int64))
            for text, blobs in (("ids", encoded), ("details", items.details)):
                lengths[text].append(np.array([len(blob) for blob in blobs], dtype=np.int64))
                arrays[text] = np.frombuffer(b"".join(blobs), dtype=np.uint8)
            for column, values in arrays.items():
                if column not in files:
                    files[column] = GrowingArray(arrived / f"{column}.npy")
                files[column].append(values)
    finally:
        for file in files.values():
            file.close()
    if not keys:
        raise ArtifactError(f"catalogue {name}: there are no items; name a table with rows")
    return columns, np.concatenate(keys), {text: np.concatenate(each) for text, each in lengths.items()}


def _refuse_repeated(
    arrived: Path, keys: NDArray[np.int64], order: NDArray[np.int64], lengths: NDArray[np.int64]
) -> None:
    repeated = np.flatnonzero(keys[1:] == keys[:-1])
    if len(repeated):
        first, second = sorted(order[repeated[0] : repeated[0] + 2].tolist())
        blob, end = np.load(arrived / "ids.npy", mmap_mode="r"), int(lengths[: first + 1].sum())
        item_id = blob[end - int(lengths[first]) : end].tobytes().decode()
        raise ArtifactError(
            f"{len(repeated)} item ids repeat, such as {item_id!r} in items {first + 1} and {second + 1}; make each id "
            f"unique"
        )


def _reorder(source: Path, target: Path, order: NDArray[np.int64]) -> None:
    values = np.load(source, mmap_mode="r")
    with GrowingArray(target) as file:
        for first in range(0, max(1, len(order)), _AT_ONCE):
            file.append(values[order[first : first + _AT_ONCE]])
    source.unlink()


def _texts_of(
    source: Path, order: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Iterable[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Yield the bytes of some texts in the new order, and their offsets."""
    blob = np.load(source, mmap_mode="r") if lengths.any() else np.empty(0, dtype=np.uint8)
    offsets = offsets_of(lengths)
    for first in range(0, max(1, len(order)), _AT_ONCE):
        positions, ends = gather_positions(offsets, order[first : first + _AT_ONCE])
        yield blob[positions], ends


def _write_ids(source: Path, target: Path, order: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
    kind = f"S{max(1, int(lengths.max()))}"
    with GrowingArray(target) as file:
        for flat, offsets in _texts_of(source, order, lengths):
            blob, ends = flat.tobytes(), offsets.tolist()
            texts = [blob[start:end] for start, end in pairwise(ends)]
            file.append(np.array(texts, dtype=kind))


def _reorder_texts(source: Path, target: Path, order: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
    with GrowingArray(target) as file:
        for flat, _ in _texts_of(source, order, lengths):
            file.append(flat)


def _hash_of(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.glob("*.npy")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
