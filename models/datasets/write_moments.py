"""Writes the moments at which users chose items as impressions. A moment's list has only the chosen items."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.events import EventLog, Moments
from models.datasets.files.progress import Progress
from models.datasets.newest import ranges
from models.datasets.write_lists import FEWEST_LISTS, Candidates, evenly_spaced, write_lists
from models.errors import ArtifactError
from models.ragged import offsets_of


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
    used = moments.take(with_past & _has_label(log, moments))
    by_time = used.take(np.argsort(used.at_s, kind="stable"))
    lists = by_time.take(evenly_spaced(len(by_time), config.max_lists))
    if config.files is not None and root.name != "test" and len(lists) < FEWEST_LISTS:
        raise ArtifactError(
            f"training.events: the split {root.name} must have at least {FEWEST_LISTS} lists of users with earlier "
            f"events, got {len(lists)}; add events, or change train_share and valid_share"
        )

    def candidates(indices: NDArray[np.int64]) -> Candidates:
        part = lists.take(indices)
        lengths = part.end - part.start
        events = ranges(part.start, lengths)
        return Candidates(offsets_of(lengths), log.item[events], log.labels(events))

    write_lists(
        root, log, lists, candidates, keys,
        history=config.history, feature_hash=feature_hash, progress=progress,
    )  # fmt: skip
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
