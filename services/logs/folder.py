"""A folder of Parquet files on any file system that fsspec supports."""

from dataclasses import dataclass
from pathlib import Path

import fsspec
import pyarrow as pa
from fsspec import AbstractFileSystem

from models.served_log.writing import write_log_file
from services.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LogFolder:
    """A folder in which only complete files appear.

    Attributes:
        root: the folder's path on ``filesystem``.
    """

    filesystem: AbstractFileSystem
    root: str

    @classmethod
    def at(cls, path: str, home: Path, *, field: str) -> "LogFolder":
        """Return the folder at ``path``. The first file creates it.

        Args:
            path: a path relative to the home, or a URL.
            home: the data home.
            field: the configuration field, for the error.

        Raises:
            ConfigError: the file system is unknown, or a package that it needs is not installed.
        """
        try:
            filesystem, root = fsspec.core.url_to_fs(path if "://" in path else str(home / path))
        except (ValueError, ImportError, OSError) as error:
            raise ConfigError(
                f"cannot be opened for writing, got {path} ({error}); name a local folder, or install the "
                f"package for this "
                f"URL's file system",
                field=field,
            ) from error
        return cls(filesystem, root.rstrip("/"))

    def write(self, table: pa.Table, name: str) -> None:
        """Write a file as a whole.

        Raises:
            Exception: the file system has failed. Each kind of file system has its own errors.
        """
        write_log_file(table, f"{self.root}/{name}", self.filesystem)
