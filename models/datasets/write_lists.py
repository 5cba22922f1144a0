"""Writes lists of items as impressions, with the history of each list's user before it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.datasets.events import EventLog, Moments
from models.datasets.features import histories
from models.datasets.files.progress import Progress
from models.impressions import impressions_writer
from models.ragged import RaggedBatch

FEWEST_LISTS = 2
"""The fewest lists that training and validation can use."""
_CHUNK = 4096
"""Lists that are written together."""


class Candidates(NamedTuple):
    """The N candidates of some lists.

    Attributes:
        offsets: int64 (B + 1,).
        item: int64 (N,), item numbers of the log.
        labels: float32 (N,).
        columns: further columns (N, ...).
    """

    offsets: NDArray[np.int64]
    item: NDArray[np.int64]
    labels: NDArray[np.float32]
    columns: Mapping[str, NDArray[Any]] = {}


def write_lists(
    root: Path,
    log: EventLog,
    lists: Moments,
    candidates: Callable[[NDArray[np.int64]], Candidates],
    keys: NDArray[np.int64],
    *,
    history: int,
    feature_hash: str,
    progress: Progress,
) -> None:
    """Write the lists, a chunk at a time.

    Args:
        root: the folder to write, which has the name of the split.
        log: the events of the histories.
        lists: the users and times of the lists, in time order.
        candidates: returns the candidates of the lists with these indices.
        keys: int64 (I,), catalogue keys by item number.
        history: maximum number of items in a history.
        feature_hash: content hash of the feature definitions.
        progress: receives the number of lists that were written.
    """
    with impressions_writer(root, feature_hash=feature_hash) as write:
        for start in range(0, max(1, len(lists)), _CHUNK):
            indices = np.arange(start, min(start + _CHUNK, len(lists)))
            offsets, item, labels, columns = candidates(indices)
            batch = RaggedBatch(
                offsets=offsets,
                rows=np.zeros(len(item), dtype=np.int64),
                requests=histories(log, lists.take(indices), keys, history),
                candidates=dict(columns),
            )
            write(batch, labels, keys[item])
            progress(f"writing the {root.name} lists", start + len(indices), len(lists))
    np.save(root / "user.npy", lists.user)
    np.save(root / "at_s.npy", lists.at_s)


def evenly_spaced(total: int, count: int | None) -> NDArray[np.int64]:
    """Return the indices of at most ``count`` lists of ``total``, evenly spaced. None: of all."""
    if count is None or total <= count:
        return np.arange(total)
    return np.linspace(0, total - 1, count).astype(np.int64)
