"""The header of a safetensors file: 8 bytes with the length of a JSON document, then the document."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from models.errors import ArtifactError

Value = TypeVar("Value")
_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000
"""Safetensors' own limit, in bytes."""
_FAULTS = (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError)
"""Errors for a header that is not valid."""


@dataclass(frozen=True, slots=True)
class Described:
    """The description of a tensor.

    Attributes:
        dtype: safetensors' name of the type, such as "F32".
        start: offset of the tensor's first byte in the file.
    """

    shape: list[int]
    dtype: str
    start: int


def header_of(path: Path, convert: Callable[[Described], Value]) -> dict[str, Value]:
    """Return what ``convert`` makes of each tensor's description, by the tensor's name.

    Raises:
        ArtifactError: the file cannot be read, or ``convert`` does not know a dtype.
    """
    try:
        with path.open("rb") as file:
            return header_in(file, path, convert)
    except OSError as error:
        raise _unreadable(path, error) from error


def header_in(file: BinaryIO, path: Path, convert: Callable[[Described], Value]) -> dict[str, Value]:
    """Return the same for an open file at its beginning. The path is for errors.

    Raises:
        ArtifactError: as for ``header_of``.
    """
    try:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header: dict[str, Any] = json.loads(file.read(min(length, _LONGEST_HEADER)))
        header.pop("__metadata__", None)
        data = _LENGTH_BYTES + length
        return {
            name: convert(Described(each["shape"], each["dtype"], data + each["data_offsets"][0]))
            for name, each in header.items()
        }
    except _FAULTS as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{path}: cannot be read as safetensors: {error}; copy it again")
