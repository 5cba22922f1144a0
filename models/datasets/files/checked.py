"""Arrow batches in files with a checksum, so that a file that a power cut has damaged is noticed."""

import zlib
from pathlib import Path

import pyarrow as pa

_CHECKSUM_BYTES = 4


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """Return a batch as an Arrow stream after its CRC-32."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big") + content


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
