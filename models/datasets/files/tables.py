"""Tables in files: CSV, Parquet or JSON lines, in a file, a folder or behind any URL that fsspec opens.

A table is read in parts of a bounded size, and only in the columns that are needed. CSV values stay texts, so that ids
keep their zeros and a change of type halfway through a file is found in its row.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any, Literal

import pyarrow as pa
from fsspec.core import url_to_fs
from fsspec.utils import infer_compression

from models.datasets.files.csv_rows import csv_header, csv_parts
from models.datasets.files.json_rows import json_header, json_parts
from models.datasets.files.opening import BLOCK_BYTES, SNIFFED_BYTES
from models.datasets.files.parquet_rows import parquet_header, parquet_parts
from models.datasets.files.problems import BadRows, Part
from models.errors import ArtifactError

Format = Literal["csv", "parquet", "json"]
_SUFFIXES: dict[str, Format] = {
    "csv": "csv", "tsv": "csv", "txt": "csv", "parquet": "parquet", "pq": "parquet",
    "json": "json", "jsonl": "json", "ndjson": "json",
}  # fmt: skip
_SHOWN_CHARACTERS = 300
_REMEDY = "name a CSV, Parquet or JSON lines file"


@dataclass(frozen=True)
class Table:
    """A table in one or several files of one format.

    Attributes:
        location: what the user named.
        paths: the files, in order.
        columns: the columns of the first file.
        sizes: bytes by file, 0 if unknown.
        stamps: a text by file that changes if the file changes.
    """

    location: str
    format: Format
    filesystem: Any
    paths: tuple[str, ...]
    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    stamps: tuple[str, ...]

    @property
    def identity(self) -> str:
        """A text that changes if a file changes."""
        return json.dumps(self.stamps)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes)

    def of_file(self, index: int) -> "Table":
        """Return the table of one file only."""
        one = (self.paths[index],), (self.sizes[index],), (self.stamps[index],)
        return replace(self, paths=one[0], sizes=one[1], stamps=one[2])

    def parts(
        self, columns: Sequence[str], bad: BadRows, after: Mapping[str, Any] | None = None
    ) -> Iterator[Part]:
        """Yield all rows in parts of a bounded size, with these columns only.

        Args:
            columns: the columns.
            bad: collects the bad rows.
            after: where to begin: the position after a part. Only for a table of one file.

        Raises:
            ArtifactError: a file cannot be read or lacks a column, or a row is bad and bad rows are not skipped.
        """
        wanted = list(dict.fromkeys(columns))
        done = 0
        for path, size in zip(self.paths, self.sizes, strict=True):
            with readable(path):
                for part in _READERS[self.format](partial(_opened, self), path, wanted, bad, after or {}):
                    yield replace(part, done=done + min(part.done, size))
            done += size


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn errors of reading into ours."""
    try:
        yield
    except (OSError, EOFError, pa.ArrowException, UnicodeDecodeError, ImportError, ValueError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        text = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
        if "straddling object" in text:
            text = f"a row is longer than {BLOCK_BYTES // 2**20} MiB"
        raise ArtifactError(f"{path}: cannot be read ({text}); correct the file, or name another") from error


def open_table(location: str) -> Table:
    """Find the files of a table, and read the columns of the first one.

    Raises:
        ArtifactError: there is no such file, the folder is empty or mixes formats, or a file cannot be read.
    """
    with readable(location):
        try:
            filesystem, root = url_to_fs(location)
            is_folder = filesystem.isdir(root)
            if not is_folder and not filesystem.exists(root):
                raise ArtifactError(
                    f"{location}: no such file or folder; {_REMEDY}, or a folder of such files"
                )
            infos = _files(filesystem, root) if is_folder else {root: filesystem.info(root)}
            if not is_folder and infos[root].get("type") not in ("file", "link"):
                raise ArtifactError(
                    f"{location}: must be a file or a folder, got a pipe or a device; write it to a file first"
                )
        except ImportError as error:
            raise ArtifactError(f"{location}: {error}") from error
    if not infos:
        raise ArtifactError(f"{location}: the folder has no files; {_REMEDY}, or a folder of such files")
    paths = tuple(infos)
    formats = {path: _format_of(filesystem, path) for path in (paths if len(paths) < 1000 else paths[:1000])}
    if len(set(formats.values())) > 1:
        first, other = paths[0], next(p for p in formats if formats[p] != formats[paths[0]])
        raise ArtifactError(
            f"{location}: must have files of one format, got {formats[first]} in {first} and {formats[other]} in "
            f"{other}; move the others away"
        )
    kind = formats[paths[0]]
    stamps = tuple(_stamp(path, info) for path, info in infos.items())
    sizes = tuple(int(info.get("size") or 0) for info in infos.values())
    table = Table(location, kind, filesystem, paths, (), sizes, stamps)
    with readable(paths[0]):
        columns = tuple(_HEADERS[kind](partial(_opened, table), paths[0]))
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise ArtifactError(f"{paths[0]}: column names must differ, got {repeated[0]!r} twice; rename one")
    return replace(table, columns=columns)


def _stamp(path: str, info: Mapping[str, Any]) -> str:
    """Return a text over the file's name, size and times."""
    known = ("size", "mtime", "created", "ETag", "etag", "LastModified", "Last-Modified")
    return json.dumps([path, *(str(info.get(name, "")) for name in known)])


def _files(filesystem: Any, root: str) -> dict[str, Any]:
    """Return the files below a folder by path. Names that begin with a dot or an underscore are left out."""
    found = filesystem.find(root, detail=True)
    inside = len(root.rstrip("/")) + 1
    return {
        path: info
        for path, info in sorted(found.items())
        if not any(part.startswith((".", "_")) for part in path[inside:].split("/")) and info.get("size") != 0
    }


def _format_of(filesystem: Any, path: str) -> Format:
    parts = path.rsplit("/", 1)[-1].lower().split(".")[1:]
    for suffix in reversed(parts):
        if suffix in _SUFFIXES:
            return _SUFFIXES[suffix]
    with readable(path), filesystem.open(path, "rb", compression="infer") as file:
        start = file.read(SNIFFED_BYTES)
    if start.startswith(b"PAR1"):
        return "parquet"
    if b"\0" in start:
        raise ArtifactError(f"{path}: its format is unknown; {_REMEDY}")
    return "json" if start.lstrip().startswith(b"{") else "csv"


def _opened(table: Table, path: str) -> IO[bytes]:
    compression = None if table.format == "parquet" else infer_compression(path)
    return table.filesystem.open(path, "rb", compression=compression)  # type: ignore[no-any-return]


_READERS = {"csv": csv_parts, "parquet": parquet_parts, "json": json_parts}
_HEADERS = {"csv": csv_header, "parquet": parquet_header, "json": json_header}
