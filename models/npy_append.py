"""A .npy file to which rows are appended, so that an array of unknown length is written in bounded memory."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class GrowingArray:
    """Writes an array along its first axis. ``numpy.load`` reads the file after ``close``."""

    def __init__(self, path: Path) -> None:
        """Make the file at the first ``append``."""
        self._path = path
        self._file = path.open("wb")
        self._dtype: np.dtype[Any] | None = None
        self._inner: tuple[int, ...] = ()
        self._rows = 0

    def append(self, values: NDArray[Any]) -> None:
        """Append rows. All appended arrays have one dtype and one shape, except for the first axis."""
        if self._dtype is None:
            self._dtype, self._inner = values.dtype, values.shape[1:]
            self._write_header()
        assert (values.dtype, values.shape[1:]) == (self._dtype, self._inner), f"{self._path}: another layout"
        self._file.write(np.ascontiguousarray(values).data)
        self._rows += len(values)

    def close(self) -> None:
        """Write the final length into the header. Its size does not change, because numpy pads it."""
        if self._dtype is not None:
            self._file.seek(0)
            self._write_header()
        self._file.close()

    def __enter__(self) -> Self:
        """Return the array."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _write_header(self) -> None:
        assert self._dtype is not None
        npy.write_array_header_1_0(
            self._file,
            {
                "descr": npy.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._rows, *self._inner),
            },
        )
