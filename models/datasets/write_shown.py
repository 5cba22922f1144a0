"""Writes the lists that users were shown as impressions."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.events import EventLog, Moments
from models.datasets.features import histories
from models.datasets.files.progress import Progress
from models.datasets.shown import ShownLists
from models.errors import ArtifactError
from models.impressions import impressions_writer
from models.ragged import RaggedBatch, offsets_of

POSITION = "position"
"""The candidate column with the place in the shown list. No model reads it."""
FEWEST_LISTS = 2
_CHUNK = 4096


def write_shown_lists(
    root: Path,
    log: EventLog,
    shown: ShownLists,
    period: NDArray[np.bool_],
    keys: NDArray[np.int64],
    config: EventsConfig,
    feature_hash: str,
    progress: Progress,
) -> dict[str, Any]:
    """Write the lists of a split in time order. Lists without a reaction and of users without a history are kept.

    Args:
        root: the folder to write, which has the name of the split.
        log: the events of the histories.
        shown: the lists.
        period: bool (L,), the lists of the split.
        keys: int64 (I,), catalogue keys by item number.
        config: the limits.
        feature_hash: content hash of the feature definitions.
        progress: receives the number of lists that were written.

    Returns:
        Counts for the manifest.

    Raises:
        ArtifactError: too few lists have a reaction. The test split may have none.
    """
    lists = np.flatnonzero(period)
    if config.max_lists is not None and len(lists) > config.max_lists:
        lists = lists[np.linspace(0, len(lists) - 1, config.max_lists).astype(np.int64)]
    positive = int(shown.positive[lists].sum())
    if root.name != "test" and positive < FEWEST_LISTS:
        raise ArtifactError(
            f"training.events: the split {root.name} must have at least {FEWEST_LISTS} shown lists with a label "
            f"above 0, got {positive} in {len(lists):,} lists; add impressions, or change train_share and valid_share"
        )
    moments = moments_before(log, shown.user[lists], shown.at_s[lists])
    with impressions_writer(root, feature_hash=feature_hash) as write:
        for begin in range(0, max(1, len(lists)), _CHUNK):
            part = lists[begin : begin + _CHUNK]
            offsets, rows = shown.candidates(part)
            chosen = keys[shown.item[rows]]
            batch = RaggedBatch(
                offsets=offsets,
                rows=np.zeros(len(chosen), dtype=np.int64),
                requests=histories(
                    log, moments.take(np.arange(begin, begin + len(part))), keys, config.history
                ),
                candidates={POSITION: shown.position[rows]},
            )
            write(batch, shown.relevance[rows], chosen)
            progress(f"writing the {root.name} lists", begin + len(part), len(lists))
    np.save(root / "user.npy", shown.user[lists])
    np.save(root / "at_s.npy", shown.at_s[lists])
    return {
        "items": int(np.diff(shown.offsets)[period].sum()),
        "moments": len(lists),
        "moments_with_label": positive,
        "users": len(np.unique(shown.user[lists])),
    }


def moments_before(log: EventLog, user: NDArray[np.int64], at_s: NDArray[np.float64]) -> Moments:
    """Return M moments without events, whose histories are the users' events before these times.

    Args:
        log: the events.
        user: (M,), user numbers. Users without events have an empty history.
        at_s: (M,), epoch seconds.
    """
    users = np.concatenate([log.user, user])
    is_event = np.arange(len(users)) < len(log)
    # An event follows a list of its time, so that it is not in the list's history.
    order = np.lexsort((is_event, np.concatenate([log.at_s, at_s]), users))
    before = np.empty(len(users), dtype=np.int64)
    before[order] = np.cumsum(is_event[order])
    start = before[len(log) :]
    first = offsets_of(np.bincount(log.user, minlength=int(users.max(initial=-1)) + 1))[user]
    return Moments(start, start, first, user, at_s)
