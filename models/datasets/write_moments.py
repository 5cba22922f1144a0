"""Writes the moments at which users chose items as impressions. A moment's list has only the chosen items."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.events import EventLog, Moments
from models.datasets.features import histories
from models.datasets.files.progress import Progress
from models.datasets.newest import ranges
from models.errors import ArtifactError
from models.impressions import impressions_writer
from models.ragged import RaggedBatch, offsets_of

FEWEST_LISTS = 2
_CHUNK = 4096
"""Lists that are written together."""


def write_moments(
    root: Path,
    log: EventLog,
    moments: Moments,
    period: NDArray[np.bool_],
    keys: NDArray[np.int64],
    config: EventsConfig,
    feature_hash: str,
    progress: Progress,
) -> dict[str, Any]:
    """Write the moments of a split in time order. Moments without a history or without a label are left out.

    Args:
        root: the folder to write, which has the name of the split.
        log: the events.
        moments: all moments of the log.
        period: bool (M,), the moments of the split.
        keys: int64 (I,), catalogue keys by item number.
        config: the limits.
        feature_hash: content hash of the feature definitions.
        progress: receives the number of lists that were written.

    Returns:
        Counts for the manifest.

    Raises:
        ArtifactError: too few moments of the user's files are left. The test split may have none.
    """
    with_past = period & (moments.start > moments.first)
    lists = _thinned(moments.take(with_past & _has_label(log, moments)), config.max_lists)
    if config.files is not None and root.name != "test" and len(lists) < FEWEST_LISTS:
        raise ArtifactError(
            f"training.events: the split {root.name} must have at least {FEWEST_LISTS} lists of users with earlier "
            f"events, got {len(lists)}; add events, or change train_share and valid_share"
        )
    with impressions_writer(root, feature_hash=feature_hash) as write:
        for start in range(0, max(1, len(lists)), _CHUNK):
            part = lists.take(np.arange(start, min(start + _CHUNK, len(lists))))
            lengths = part.end - part.start
            offsets, events = offsets_of(lengths), ranges(part.start, lengths)
            chosen = keys[log.item[events]]
            batch = RaggedBatch(
                offsets=offsets,
                rows=np.zeros(len(chosen), dtype=np.int64),
                requests=histories(log, part, keys, config.history),
            )
            write(batch, log.labels(events), chosen)
            progress(f"writing the {root.name} lists", start + len(part), len(lists))
    np.save(root / "user.npy", lists.user)
    np.save(root / "at_s.npy", lists.at_s)
    return {
        "moments": len(lists),
        "moments_without_past": int((period & (moments.start == moments.first)).sum()),
        "users": len(np.unique(lists.user)),
    }


def _has_label(log: EventLog, moments: Moments) -> NDArray[np.bool_]:
    """Return whether each moment has an item with a relevance above 0. The moments must be all of the log's."""
    if log.relevance is None:
        return np.ones(len(moments), dtype=np.bool_)
    return np.asarray(np.maximum.reduceat(log.relevance, moments.start) > 0)


def _thinned(moments: Moments, count: int | None) -> Moments:
    """Return the moments by time, at most ``count`` of them, evenly spaced."""
    moments = moments.take(np.argsort(moments.at_s, kind="stable"))
    if count is None or len(moments) <= count:
        return moments
    return moments.take(np.linspace(0, len(moments) - 1, count).astype(np.int64))
