"""Impressions: the training data, as one large ragged batch on disk. It has shown lists and their outcomes."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.atomic_directory import settled, written_whole
from models.errors import ArtifactError, FeatureMismatch
from models.features.sent_table import SentTable
from models.npy_append import GrowingArray
from models.ragged import Column, RaggedArray, RaggedBatch

_INDEX, _CANDIDATE = "impressions.json", "candidate."


class KeysToRows(Protocol):
    """Map item keys to rows in the current catalogue, as ``Catalogue.rows_of_keys`` does."""

    def __call__(self, keys: NDArray[np.int64], /) -> NDArray[np.int64]:
        """Return int64 rows, with -1 for keys that the catalogue does not have."""
        ...


def write_impressions(
    root: Path,
    batch: RaggedBatch,
    labels: NDArray[np.float32],
    *,
    feature_hash: str,
    keys: NDArray[np.int64],
    sent: SentTable | None = None,
) -> None:
    """Write B impressions completely or not at all.

    Args:
        root: folder to write.
        batch: the shown lists. Their per-request and per-candidate columns are written too.
        labels: float32 (N,), relevance.
        feature_hash: content hash of the feature definitions.
        keys: int64 (N,), the candidates' item keys. Rows change between catalogue versions, keys do not.
        sent: the items that were sent with their features. The batch then has the column ``SENT``.
    """
    with impressions_writer(root, feature_hash=feature_hash, sent=sent) as write:
        write(batch, labels, keys)


class _Write(Protocol):
    """Append B impressions. The arguments are those of ``write_impressions``."""

    def __call__(self, batch: RaggedBatch, labels: NDArray[np.float32], keys: NDArray[np.int64], /) -> None:
        """Append the impressions. All calls have the same columns."""
        ...


@contextmanager
def impressions_writer(root: Path, *, feature_hash: str, sent: SentTable | None = None) -> Iterator[_Write]:
    """Yield a function that appends impressions, at least once, so that their number is not bounded by memory.

    The impressions are written completely or not at all.
    """
    with written_whole(root) as staging, ExitStack() as files:
        arrays: dict[str, GrowingArray] = {}
        ends: dict[str, int] = {}
        index: dict[str, Any] = {}

        def append(name: str, values: NDArray[Any]) -> None:
            if name not in arrays:
                arrays[name] = files.enter_context(GrowingArray(staging / f"{name}.npy"))
            arrays[name].append(values)

        def append_offsets(name: str, offsets: NDArray[np.int64]) -> None:
            end = ends.get(name, 0)
            append(name, offsets[(1 if name in ends else 0) :] + end)
            ends[name] = end + int(offsets[-1])

        def write(batch: RaggedBatch, labels: NDArray[np.float32], keys: NDArray[np.int64], /) -> None:
            append("labels", labels)
            append_offsets("offsets", batch.offsets)
            append("keys", keys)
            ragged = []
            for name, column in batch.requests.items():
                if isinstance(column, RaggedArray):
                    ragged.append(name)
                    append(name, column.values)
                    append_offsets(f"{name}.offsets", column.offsets)
                else:
                    append(name, column)
            for name, column in batch.candidates.items():
                append(f"{_CANDIDATE}{name}", column)
            index.update(
                feature_hash=feature_hash,
                requests=list(batch.requests),
                ragged=ragged,
                candidates=list(batch.candidates),
            )

        yield write
        files.close()
        if sent is not None:
            sent.write(staging)
        (staging / _INDEX).write_text(json.dumps(index))


def read_impressions(
    root: Path, *, feature_hash: str, keys_to_rows: KeysToRows
) -> tuple[RaggedBatch, NDArray[np.float32]]:
    """Map the impressions at ``root`` into memory and return the batch and the labels (N,).

    Raises:
        ArtifactError: there are no impressions, or they are damaged.
        FeatureMismatch: the impressions were built with other feature definitions.
    """
    root = settled(root)
    path = root / _INDEX
    if not path.is_file():
        raise ArtifactError(f"no impressions at {root}: {_INDEX} is missing; build the data set first")
    try:
        index = json.loads(path.read_text())
        if index["feature_hash"] != feature_hash:
            raise FeatureMismatch(
                f"impressions at {root}: built with feature hash {index['feature_hash']}, but these definitions have "
                f"{feature_hash}; build the data set again"
            )
        return _mapped(root, index, keys_to_rows)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"impressions at {root} cannot be read: {error}; build the data set again"
        ) from error


def _mapped(
    root: Path, index: dict[str, Any], keys_to_rows: KeysToRows
) -> tuple[RaggedBatch, NDArray[np.float32]]:
    columns: dict[str, Column] = {}
    for name in index["requests"]:
        values = np.load(root / f"{name}.npy", mmap_mode="r")
        ragged = name in index["ragged"]
        columns[name] = RaggedArray(values, np.load(root / f"{name}.offsets.npy")) if ragged else values
    batch = RaggedBatch(
        offsets=np.load(root / "offsets.npy"),
        rows=keys_to_rows(np.load(root / "keys.npy")),
        requests=columns,
        candidates={
            name: np.load(root / f"{_CANDIDATE}{name}.npy", mmap_mode="r") for name in index["candidates"]
        },
    )
    labels = np.load(root / "labels.npy")
    for name, column, count in (
        ("labels", labels, batch.offsets[-1]),
        ("keys", batch.rows, batch.offsets[-1]),
        *((name, column, len(batch)) for name, column in columns.items()),
        *((name, column, len(labels)) for name, column in batch.candidates.items()),
    ):
        if len(column) != count:
            raise ValueError(f"{name} has {len(column)} values, expected {count}")
    return batch, labels
