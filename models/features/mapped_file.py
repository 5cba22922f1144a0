"""A .npy file that is mapped into memory, and can be mapped again with room for more rows.

The rows of the file and the room lie in one range of addresses, so together they are one plain array. The file's pages
stay those of the page cache, which all processes share. Only rows that are written take memory.
"""

import ctypes
import mmap
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_MAP_FIXED = 0x10  # from Linux's mman.h, and the same on macOS


class MappedFile:
    """A .npy file that is mapped into memory. Its descriptor stays open, so that it can be mapped again.

    Attributes:
        array: the rows of the file, read-only.
    """

    def __init__(self, path: Path) -> None:
        """Map the file.

        Raises:
            OSError, ValueError, EOFError: the file is missing, is no .npy file, or is too short.
        """
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor).atexit = False
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, is_fortran, dtype = read(file)
            if dtype.hasobject or is_fortran or not shape:
                raise ValueError(f"{path} must hold rows of numbers, got {dtype} {shape}")
            self._offset = file.tell()
            self.array: NDArray[Any] = (
                np.memmap(file, dtype, "r", self._offset, shape) if np.prod(shape) else np.empty(shape, dtype)
            )

    def with_room(self, rows: int) -> NDArray[Any]:
        """Return a writable array of ``rows`` rows that begins with the rows of the file.

        Writing changes memory only. If the file cannot be mapped again, its rows are copied.
        """
        array = self.array
        if array.size:
            try:
                return self._stitched(rows)
            except (OSError, ValueError, OverflowError):  # the system has no room for another mapping
                pass
        copy = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
        copy[: len(array)] = array
        return copy

    def _stitched(self, rows: int) -> NDArray[Any]:
        array = self.array
        row_bytes = array.nbytes // len(array)
        region = mmap.mmap(
            -1, self._offset + rows * row_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )  # pages that are never written take no memory
        _map_at(
            ctypes.addressof(ctypes.c_char.from_buffer(region)),
            self._offset + array.nbytes,
            self._descriptor,
        )
        numbers = np.frombuffer(region, array.dtype, rows * (array.size // len(array)), self._offset)
        return numbers.reshape(rows, *array.shape[1:])


def _map_at(address: int, length: int, descriptor: int) -> None:
    """Map the beginning of a file at an address, private to this process."""
    function = ctypes.CDLL(None, use_errno=True).mmap
    function.restype = ctypes.c_void_p
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    flags = mmap.MAP_PRIVATE | _MAP_FIXED
    if function(address, length, mmap.PROT_READ | mmap.PROT_WRITE, flags, descriptor, 0) != address:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
