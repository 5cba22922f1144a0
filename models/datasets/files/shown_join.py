"""Joins the rows of impression files to lists, and refuses rows that cannot be in one list."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows, Part
from models.datasets.shown import ShownLists, shown_lists
from models.errors import ArtifactError

MOST_SHOWN = 10_000
"""Maximum number of items in a list. A longer one is a sign that the column of the list is another."""


@dataclass(frozen=True)
class ShownRows:
    """N shown items, without their users and items.

    Attributes:
        list: int64 (N,), numbers of lists.
        at_s: float64 (N,), epoch seconds.
        position: float64 (N,), NaN if it is unknown.
        relevance: float32 (N,), from 0 to 1.
        parts: where the rows come from: a part without data, and the rows of it that were kept.
    """

    list: NDArray[np.int64]
    at_s: NDArray[np.float64]
    position: NDArray[np.float64]
    relevance: NDArray[np.float32]
    parts: tuple[tuple[Part, NDArray[np.int32]], ...] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.at_s)

    def where(self, row: int) -> str:
        """Return file and row in it."""
        for part, kept in self.parts:
            if row < len(kept):
                return part.where(int(kept[row]))
            row -= len(kept)
        raise IndexError(row)


def lists_of_rows(
    rows: ShownRows, user: NDArray[np.int32], item: NDArray[np.int32], bad: BadRows
) -> tuple[ShownLists, NDArray[np.bool_]]:
    """Join the rows to lists.

    Args:
        rows: the rows.
        user: int32 (N,), the rows' user numbers.
        item: int32 (N,), the rows' item numbers.
        bad: collects rows of a list whose user is another than in its first row.

    Returns:
        The lists, and a mask of the good rows.

    Raises:
        ArtifactError: a list has several users and bad rows are not skipped, or a list is too long.
    """
    codes = rows.list if len(rows.list) and rows.list[0] >= 0 else _by_user_and_time(user, rows.at_s)
    first_row = np.unique(codes, return_index=True)[1]
    good = user == user[first_row][codes]
    for row in np.flatnonzero(~good).tolist():
        first = rows.where(int(first_row[codes[row]]))
        bad.one(
            "list has several users",
            f"{rows.where(row)}: the user must be that of the list's first row, {first}",
            "correct the user, or name another column under training.events.impressions.list",
        )
    longest = int(np.bincount(codes[good]).max())
    if longest > MOST_SHOWN:
        row = int(first_row[np.bincount(codes[good]).argmax()])
        raise ArtifactError(
            f"{rows.where(row)}: a shown list must have at most {MOST_SHOWN:,} items, got {longest:,}; name another "
            f"column under training.events.impressions.list"
        )
    codes = np.unique(codes[good], return_inverse=True)[1]
    lists, repeated = shown_lists(
        codes, user[good].astype(np.int64), item[good].astype(np.int64), rows.at_s[good], rows.position[good],
        rows.relevance[good],
    )  # fmt: skip
    if repeated:
        bad.notes.append(
            f"{repeated:,} rows show an item that the same list has already; the highest relevance counts"
        )
    return lists, good


def _by_user_and_time(user: NDArray[np.int32], at_s: NDArray[np.float64]) -> NDArray[np.int64]:
    pairs = np.rec.fromarrays([user, at_s])
    return np.asarray(np.unique(pairs, return_inverse=True)[1], dtype=np.int64)
