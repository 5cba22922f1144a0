"""Reads single tensors of a safetensors file into given memory.

A mapped file would count as resident memory, would end the process with SIGBUS if the file is cut, and would read other
weights if the file is replaced. This module reads with ``preadv`` from one open file instead.
"""

import os
import weakref
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.errors import RuntimeFailure
from models.runtimes.safetensors_header import Described, header_in

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_CONVERTED_AT_ONCE = 1 << 16
"""Elements of another dtype that are converted in one step. Their memory comes on top of the weights."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor's place in the file.

    Attributes:
        start: offset of its first byte in the file.
    """

    dtype: torch.dtype
    start: int


class StoredTensors:
    """An open safetensors file."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its header.

        Raises:
            ArtifactError: the header cannot be read.
            OSError: the file cannot be opened.
        """
        self._path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        with open(self._file, "rb", closefd=False) as file:
            self._stored = header_in(file, path, _place)

    def read(self, name: str, target: Tensor) -> None:
        """Read a tensor into the memory of ``target``, and convert it to the dtype of ``target``.

        Args:
            name: the tensor's name.
            target: contiguous, of the tensor's shape.

        Raises:
            RuntimeFailure: the file was cut, or cannot be read.
        """
        stored = self._stored[name]
        if stored.dtype == target.dtype:
            self._fill(target, stored.start)
            return
        flat, start = target.view(-1), stored.start
        for values in torch.split(flat, _CONVERTED_AT_ONCE):
            read = torch.empty(values.shape, dtype=stored.dtype)
            self._fill(read, start)
            values.copy_(read)
            start += read.nbytes

    def _fill(self, target: Tensor, start: int) -> None:
        """Read the file's bytes from ``start`` into a contiguous tensor."""
        memory = target.view(-1).view(torch.uint8).numpy().data
        try:
            while memory:
                count = os.preadv(self._file, [memory], start)
                if not count:
                    raise RuntimeFailure(
                        f"{self._path}: was cut while it was in use; copy the artifact again, and serve it again"
                    )
                memory, start = memory[count:], start + count
        except OSError as error:
            raise RuntimeFailure(
                f"{self._path}: cannot be read: {error}; check the disk, and copy the artifact again"
            ) from error


def _place(described: Described) -> Stored:
    return Stored(_DTYPES[described.dtype], described.start)
