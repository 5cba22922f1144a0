"""Ragged batches between units: one contiguous buffer with a small header and the arrays' unchanged bytes.

Row numbers are sent as int32. To keep buffers below gRPC's limit, ``cut_batch`` splits a batch by requests. If a single
request is still too large, it splits the request's candidates.
"""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.ragged import Column, RaggedArray, RaggedBatch
from services.errors import StageFailed

MAX_CALL_BYTES = 4 * 1024 * 1024 - 65_536  # gRPC's default message limit, less the envelope that Serve adds
SCORES = frozenset({"score", "ranker"})
"""Columns that the ranker adds to the candidates."""
_ALIGNMENT = 8


class _Part(msgspec.Struct, array_like=True, gc=False):
    name: str
    dtype: str
    shape: tuple[int, ...]


class _Header(msgspec.Struct, array_like=True, gc=False):
    release: str
    catalogue: str
    parts: list[_Part]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Header)


def pack(arrays: dict[str, NDArray[Any]], release: str = "", catalogue: str = "") -> bytes:
    """Return arrays as one buffer: header length, header, then each array at an 8-byte boundary."""
    encoded = _encoder.encode(_header(arrays, release, catalogue))
    pieces = [len(encoded).to_bytes(_ALIGNMENT, "little"), encoded, b"\0" * (-len(encoded) % _ALIGNMENT)]
    for values in arrays.values():
        pieces += [values.tobytes(), b"\0" * (-values.nbytes % _ALIGNMENT)]
    return b"".join(pieces)


def packed_bytes(arrays: dict[str, NDArray[Any]], release: str = "", catalogue: str = "") -> int:
    """Return the length in bytes of the buffer that ``pack`` would make, without making it."""
    header = _header(arrays, release, catalogue)
    sizes = [len(_encoder.encode(header)), *[values.nbytes for values in arrays.values()]]
    return _ALIGNMENT + sum(size + -size % _ALIGNMENT for size in sizes)


def unpack(buffer: bytes | memoryview) -> tuple[dict[str, NDArray[Any]], str, str]:
    """Return the arrays, as views of the buffer, the release, and the catalogue's deltas.

    Raises:
        StageFailed: the buffer was not made by ``pack``.
    """
    try:
        start = _ALIGNMENT + int.from_bytes(buffer[:_ALIGNMENT], "little")
        header = _decoder.decode(buffer[_ALIGNMENT:start])
        start += -start % _ALIGNMENT
        arrays: dict[str, NDArray[Any]] = {}
        for part in header.parts:
            dtype, count = np.dtype(part.dtype), math.prod(part.shape)
            arrays[part.name] = np.frombuffer(buffer, dtype, count, start).reshape(part.shape)
            start += count * dtype.itemsize
            start += -start % _ALIGNMENT
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, SyntaxError) as error:
        raise StageFailed(
            f"call between units: cannot be read ({error}); run the same version in all units"
        ) from error
    return arrays, header.release, header.catalogue


def pack_batch(batch: RaggedBatch) -> bytes:
    """Return a batch as one buffer, without scores and user ids."""
    return pack(_arrays_of(batch), batch.release, batch.catalogue)


def _header(arrays: dict[str, NDArray[Any]], release: str, catalogue: str) -> _Header:
    parts = [_Part(name, values.dtype.str, values.shape) for name, values in arrays.items()]
    return _Header(release, catalogue, parts)


def _arrays_of(batch: RaggedBatch) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"rows": batch.rows.astype(np.int32), "offsets": batch.offsets}
    if batch.deadlines_s is not None:
        arrays["deadlines_s"] = batch.deadlines_s
    if batch.priorities is not None:
        arrays["priorities"] = batch.priorities
    for name, column in batch.requests.items():
        if isinstance(column, RaggedArray):
            arrays[f"values/{name}"], arrays[f"offsets/{name}"] = column.values, column.offsets
        else:
            arrays[f"column/{name}"] = column
    for name, values in feature_columns(batch).items():
        arrays[f"candidate/{name}"] = values
    return arrays


def feature_columns(batch: RaggedBatch) -> dict[str, NDArray[Any]]:
    """Return the candidate columns that the stages before the ranker added.

    The ranker's unit cannot compute them itself, because its feature folders may have another version.
    """
    return {name: values for name, values in batch.candidates.items() if name not in SCORES}


def unpack_batch(buffer: bytes) -> RaggedBatch:
    """Return the batch that ``pack_batch`` packed.

    Raises:
        StageFailed: the buffer was not made by ``pack_batch``.
    """
    arrays, release, catalogue = unpack(buffer)
    types = {name: arrays[name].dtype.kind for name in ("rows", "offsets") if name in arrays}
    if types != {"rows": "i", "offsets": "i"}:
        raise StageFailed(
            f"call between units: not a batch, got arrays {sorted(arrays)} of types {types}; run the same version in "
            f"all units"
        )
    requests: dict[str, Column] = {}
    candidates: dict[str, NDArray[Any]] = {}
    for key, values in arrays.items():
        kind, _, name = key.partition("/")
        if kind == "column":
            requests[name] = values
        elif kind == "candidate":
            candidates[name] = values
        elif kind == "values":
            requests[name] = RaggedArray(values, arrays[f"offsets/{name}"])
    return RaggedBatch(
        offsets=arrays["offsets"],
        rows=arrays["rows"].astype(np.int64),
        requests=requests,
        candidates=candidates,
        deadlines_s=arrays.get("deadlines_s"),
        priorities=arrays.get("priorities"),
        release=release,
        catalogue=catalogue,
    )


def cut_batch(batch: RaggedBatch, max_bytes: int = MAX_CALL_BYTES) -> Iterator[RaggedBatch]:
    """Yield the batch in pieces, in candidate order. Each piece packs to less than ``max_bytes``.

    Raises:
        StageFailed: the features of a single user already exceed the limit.
    """
    size_bytes = packed_bytes(_arrays_of(batch), batch.release, batch.catalogue)
    if size_bytes < max_bytes:
        yield batch
        return
    if len(batch) > 1:
        middle = len(batch) // 2
        indices = np.arange(len(batch), dtype=np.int64)
        yield from cut_batch(batch.take(indices[:middle]), max_bytes)
        yield from cut_batch(batch.take(indices[middle:]), max_bytes)
        return
    if batch.candidate_count < 2:
        raise StageFailed(
            f"features of one user: too large for a call between units, got {size_bytes} bytes of at most {max_bytes}; "
            f"lower max_length of the ragged features"
        )
    middle = batch.candidate_count // 2
    indices = np.arange(batch.candidate_count, dtype=np.int64)
    for part in (indices[:middle], indices[middle:]):
        yield from cut_batch(batch.keep(part, np.array([0, len(part)], dtype=np.int64)), max_bytes)
