"""The newest distinct items of many histories at once."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.ragged import offsets_of

_MOST_EVENTS = 2_000_000
"""Events that are read together, for bounded memory. A single history may have more."""


def newest(
    next_choice: NDArray[np.int32], first: NDArray[np.int64], start: NDArray[np.int64], longest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the last events of the newest distinct items in each of M histories, oldest first.

    Only as much of a long history is read as is needed.

    Args:
        next_choice: int32 (E,), the next event of the same user and item. E if there is none.
        first: int64 (M,). History i has the events [first[i], start[i]), all of one user.
        start: int64 (M,).
        longest: maximum number of items in each history.

    Returns:
        The events of all histories, and the number of events in each, int64 (M,).
    """
    lengths = np.zeros(len(start), dtype=np.int64)
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    waiting, read = np.arange(len(start)), 2 * longest
    while len(waiting):
        begin = np.maximum(first[waiting], start[waiting] - read)
        unfinished = [waiting[:0]]
        for group in _groups(start[waiting] - begin):
            which = waiting[group]
            events, counts = _newest_between(next_choice, begin[group], start[which], longest)
            done = (counts == longest) | (begin[group] == first[which])
            lengths[which[done]] = counts[done]
            found.append((which[done], events[np.repeat(done, counts)]))
            unfinished.append(which[~done])
        waiting, read = np.concatenate(unfinished), read * 4
    offsets = offsets_of(lengths)
    joined = np.empty(offsets[-1], dtype=np.int64)
    for which, events in found:
        joined[ranges(offsets[which], lengths[which])] = events
    return joined, lengths


def ranges(begin: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers begin[i], begin[i] + 1, ... of every range, one range after another."""
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], lengths)


def _newest_between(
    next_choice: NDArray[np.int32], begin: NDArray[np.int64], end: NDArray[np.int64], longest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the newest distinct items of the events [begin[i], end[i]). Each is its last event before ``end[i]``."""
    lengths = end - begin
    events = ranges(begin, lengths)
    is_last = next_choice[events] >= np.repeat(end, lengths)
    before = offsets_of(is_last)
    counts = np.diff(before[offsets_of(lengths)])
    is_new = ranges(np.zeros_like(counts), counts) >= np.repeat(counts - longest, counts)
    return events[is_last][is_new], np.minimum(counts, longest)


def _groups(lengths: NDArray[np.int64]) -> Iterator[slice]:
    """Yield slices of neighbours with about ``_MOST_EVENTS`` events."""
    group = np.cumsum(lengths) // _MOST_EVENTS
    ends = [*(np.flatnonzero(np.diff(group)) + 1).tolist(), len(lengths)]
    for begin, end in zip([0, *ends], ends, strict=False):
        yield slice(begin, end)
