"""Memory of exactly the weights' size, outside the allocator's heap.

The heap keeps freed memory, and weights between activations would cut it into pieces. Here the weights' resident memory
never exceeds the size that was asked for, and it goes back to the system with the last tensor in it.
"""

import mmap
from collections.abc import Iterable
from math import prod

import torch
from torch import Tensor

_LINE = 64
"""Bytes of a cache line. PyTorch's own tensors begin at such a boundary too, so products add in the same order."""


def aligned_bytes(tensors: Iterable[tuple[tuple[int, ...], torch.dtype]]) -> int:
    """Return the bytes that tensors with these shapes and dtypes take in a ``WeightMemory``."""
    return sum(-(-prod(shape) * dtype.itemsize // _LINE) * _LINE for shape, dtype in tensors)


class WeightMemory:
    """A piece of memory from which tensors are taken one after another."""

    def __init__(self, nbytes: int) -> None:
        """Reserve the memory. It becomes resident when it is written."""
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._bytes = torch.frombuffer(mmap.mmap(-1, max(nbytes, 1), flags=private), dtype=torch.uint8)
        self._used = 0

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a new tensor in this memory. Its values are undefined."""
        start, size = self._used, prod(shape) * dtype.itemsize
        self._used += aligned_bytes([(shape, dtype)])
        return self._bytes[start : start + size].view(dtype).view(shape)

    def rewind(self) -> None:
        """Let the next tensors take the same memory again."""
        self._used = 0
