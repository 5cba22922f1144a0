"""Writes the lists that users were shown as impressions."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.events import EventLog, Moments
from models.datasets.files.progress import Progress
from models.datasets.shown import ShownLists
from models.datasets.write_lists import FEWEST_LISTS, Candidates, evenly_spaced, write_lists
from models.errors import ArtifactError
from models.ragged import offsets_of

POSITION = "position"
"""The candidate column with the place in the shown list. No model reads it."""


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
    lists = lists[evenly_spaced(len(lists), config.max_lists)]
    positive = int(shown.positive[lists].sum())
    if root.name != "test" and positive < FEWEST_LISTS:
        raise ArtifactError(
            f"training.events: the split {root.name} must have at least {FEWEST_LISTS} shown lists with a label "
            f"above 0, got {positive} in {len(lists):,} lists; add impressions, or change train_share and valid_share"
        )

    def candidates(indices: NDArray[np.int64]) -> Candidates:
        offsets, rows = shown.candidates(lists[indices])
        return Candidates(offsets, shown.item[rows], shown.relevance[rows], {POSITION: shown.position[rows]})

    write_lists(
        root, log, moments_before(log, shown.user[lists], shown.at_s[lists]), candidates, keys,
        history=config.history, feature_hash=feature_hash, progress=progress,
    )  # fmt: skip
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
