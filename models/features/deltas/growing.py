"""Arrays in .npy files to which rows are added in memory, without copying the files."""

from typing import Any

from numpy.typing import NDArray

from models.features.mapped_file import MappedFile

_MIN_ROOM = 1024


class GrowingArray:
    """The rows of a file, and the rows that were added. Rows never move and never change.

    Arrays that were returned before stay valid: they are the first rows of the newer ones.
    """

    def __init__(self, file: MappedFile) -> None:
        """Begin with the rows of the file."""
        self._file = file
        self._all: NDArray[Any] = file.array
        self._used = len(file.array)

    def after(self, count: int, added: NDArray[Any]) -> NDArray[Any]:
        """Return the first ``count`` rows followed by the ``added`` rows, (count + A, ...)."""
        total = count + len(added)
        is_newest = count == self._used and self._all.flags.writeable
        if not is_newest or total > len(self._all):
            base = len(self._file.array)
            grown = self._file.with_room(base + max(_MIN_ROOM, 2 * (total - base)))
            grown[base:count] = self._all[base:count]
            self._all = grown
        self._all[count:total] = added
        self._used = total
        rows = self._all[:total]
        rows.flags.writeable = False
        return rows
