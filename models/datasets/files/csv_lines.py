"""The line of a row in a CSV file. Quoted values may have newlines, and blank lines are no rows."""

from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from models.datasets.files.opening import BLOCK_BYTES, Open

_QUOTE, _NEWLINE, _RETURN = b'"\n\r'


class CsvLines:
    """Line numbers by row number. The file is searched when the first row is asked for."""

    def __init__(self, opened: Open, path: str) -> None:
        """Remember the file."""
        self._opened, self._path = opened, path
        self._extra: NDArray[np.int64] | None = None

    def __call__(self, row: int) -> int:
        """Return the line in which a row begins. Row 1 is the header."""
        if self._extra is None:
            with self._opened(self._path) as file:
                self._extra = np.concatenate([np.empty(0, dtype=np.int64), *_extra_lines(file)])
        return row + int(np.searchsorted(self._extra, row, side="left"))


def _extra_lines(file: IO[bytes]) -> Iterator[NDArray[np.int64]]:
    """Yield, for each line that does not begin a row, the number of the row that it belongs to or follows, sorted."""
    rows, inside, was_break, last = 0, 0, True, 0
    while chunk := file.read(BLOCK_BYTES):
        data = np.frombuffer(chunk, dtype=np.uint8)
        quoted = (np.cumsum(data == _QUOTE) + inside) % 2 == 1
        previous = np.concatenate([[last], data[:-1]])
        is_break = (data == _RETURN) | (data == _NEWLINE)
        ends = is_break & ~((data == _NEWLINE) & (previous == _RETURN))  # \r\n ends one line
        follows_break = np.concatenate([[was_break], is_break[:-1]])
        ends_row = ends & ~quoted & ~follows_break
        ended = rows + np.concatenate([[0], np.cumsum(ends_row)[:-1]])
        yield np.sort(np.concatenate([ended[ends & quoted] + 1, ended[ends & ~quoted & follows_break]]))
        rows += int(ends_row.sum())
        inside, was_break, last = int(quoted[-1]), bool(is_break[-1]), int(data[-1])
