"""Arrow batches in files with a checksum, so that a file that a power cut has damaged is noticed."""

import errno
import zlib
from pathlib import Path

import pyarrow as pa

from models.errors import ArtifactError

_CHECKSUM_BYTES = 4
_FULL = {errno.ENOSPC, errno.EDQUOT}


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """Return a batch as an Arrow stream after its CRC-32."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big") + content


def save_batch(path: Path, batch: pa.RecordBatch, staging: Path) -> None:
    """Write a batch completely or not at all.

    Args:
        path: the file, in a folder that is a cache.
        batch: the batch.
        staging: a folder on the same disk, for the file that is being written.

    Raises:
        ArtifactError: the folder cannot be written.
        OSError: the disk is full.
    """
    written = staging / path.name
    written.write_bytes(to_bytes(batch))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written.rename(path)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise ArtifactError(
            f"{path}: cannot be written ({error.strerror}); delete {path.parent}, which is only a cache, or make it "
            f"writable"
        ) from error


def read_batch(path: Path) -> pa.RecordBatch | None:
    """Read a batch. Return None if there is no file, or if it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, stream = content[:_CHECKSUM_BYTES], memoryview(content)[_CHECKSUM_BYTES:]
    if zlib.crc32(stream).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        return None
    with pa.ipc.open_stream(stream) as reader:
        return reader.read_next_batch()
