"""The number types of an ONNX graph's weights, read without the package onnx and without the weights.

A graph's file is a protobuf message. This module reads the few fields that it needs, in a file that is mapped into
memory (https://protobuf.dev/programming-guides/encoding).
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from models.errors import ArtifactError

_GRAPH, _WEIGHT, _TYPE = 7, 5, 2
"""Field numbers in onnx.proto: ``ModelProto.graph``, ``GraphProto.initializer``, ``TensorProto.data_type``."""
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_INTEGERS = {2: "uint8", 3: "int8", 21: "uint4", 22: "int4"}
"""Types of quantised weights, by their numbers in onnx.proto."""


def quantised_types(path: Path) -> set[str]:
    """Return the integer types of at most 8 bits among a graph's weights, such as "int8".

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            numbers = {
                kind
                for graph in _values(data, 0, len(data), _GRAPH)
                for weight in _values(data, *graph, _WEIGHT)
                for kind, _ in _values(data, *weight, _TYPE)
            }
    except (OSError, ValueError, IndexError) as error:
        raise ArtifactError(
            f"{path}: cannot be read as an ONNX graph: {error}; copy the artifact again"
        ) from error
    return {_INTEGERS[number] for number in numbers if number in _INTEGERS}


def _values(data: mmap.mmap, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Yield the values of one field of the message at ``start``: begin and end of a message, or a number and 0."""
    while start < end:
        tag, start = _number(data, start)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, start = _number(data, start)
            if field == wanted:
                yield value, 0
            continue
        if kind == _LENGTH:
            size, start = _number(data, start)
        elif kind in {_EIGHT_BYTES, _FOUR_BYTES}:
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"unknown wire type {kind}")
        if start + size > end:
            raise ValueError("the file ends too early")
        if kind == _LENGTH and field == wanted:
            yield start, start + size
        start += size


def _number(data: mmap.mmap, start: int) -> tuple[int, int]:
    """Return the number at ``start``, and the position after it. Each byte holds 7 bits, the lowest first."""
    number, shift = 0, 0
    while True:
        byte = data[start]
        number |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return number, start
        if shift > 63:
            raise ValueError("a number has more than 64 bits")
