"""Lists that users were shown, with their outcomes, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ragged import offsets_of


@dataclass(frozen=True)
class ShownLists:
    """L lists with N items, sorted by time. The items of a list are in the order in which they were shown.

    Attributes:
        user: int64 (L,), user numbers.
        at_s: float64 (L,), epoch seconds.
        offsets: int64 (L + 1,). List i has the items [offsets[i], offsets[i + 1]).
        item: int64 (N,), item numbers.
        position: int32 (N,), places in the list, as they were logged. If they were not, they count from 0.
        relevance: float32 (N,), from 0 to 1.
    """

    user: NDArray[np.int64]
    at_s: NDArray[np.float64]
    offsets: NDArray[np.int64]
    item: NDArray[np.int64]
    position: NDArray[np.int32]
    relevance: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of lists."""
        return len(self.user)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Whether a list has an item with a relevance above 0, bool (L,)."""
        return np.asarray(np.maximum.reduceat(self.relevance, self.offsets[:-1]) > 0)

    def candidates(self, lists: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the offsets of some lists, and the indices of their items."""
        lengths = np.diff(self.offsets)[lists]
        offsets = offsets_of(lengths)
        return offsets, np.arange(offsets[-1]) + np.repeat(self.offsets[lists] - offsets[:-1], lengths)


def shown_lists(
    lists: NDArray[np.int64],
    user: NDArray[np.int64],
    item: NDArray[np.int64],
    at_s: NDArray[np.float64],
    position: NDArray[np.float64],
    relevance: NDArray[np.float32],
) -> tuple[ShownLists, int]:
    """Join N rows to lists.

    The earliest time of a list counts. An item that is in a list several times is there once, with its first position
    and its highest relevance.

    Args:
        lists: (N,), the number of the row's list.
        user: (N,).
        item: (N,).
        at_s: (N,).
        position: (N,), NaN if it is unknown. Rows without a position follow in the order of the file.
        relevance: (N,).

    Returns:
        The lists, and how many rows had an item again.
    """
    by_item = np.lexsort((position, item, lists))
    first = np.flatnonzero(np.diff(lists[by_item], prepend=-1) | np.diff(item[by_item], prepend=-1))
    best = np.maximum.reduceat(relevance[by_item], first)
    rows, relevance = by_item[first], best
    earliest = np.full(int(lists.max()) + 1, np.inf)
    np.minimum.at(earliest, lists, at_s)
    repeated = len(lists) - len(rows)
    codes = lists[rows]
    order = np.lexsort((rows, position[rows], codes, earliest[codes]))
    rows, relevance, codes = rows[order], relevance[order], codes[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    offsets = np.append(starts, len(codes)).astype(np.int64)
    places = np.arange(len(codes)) - np.repeat(starts, np.diff(offsets))
    logged = position[rows]
    return (
        ShownLists(
            user=user[rows[starts]],
            at_s=earliest[codes[starts]],
            offsets=offsets,
            item=item[rows],
            position=np.where(np.isnan(logged), places, logged).astype(np.int32),
            relevance=relevance,
        ),
        repeated,
    )
