"""What the readers of all formats share: opening a file, and checking its columns."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import IO

from models.errors import ArtifactError

Open = Callable[[str], AbstractContextManager[IO[bytes]]]
"""Opens a file by its path, and unpacks it."""
SNIFFED_BYTES = 65_536
BLOCK_BYTES = 8 * 1024 * 1024


def expect_columns(path: str, wanted: Sequence[str], present: Sequence[str]) -> None:
    """Check that a file has the columns.

    Raises:
        ArtifactError: a column is missing.
    """
    for name in wanted:
        if name not in present:
            raise ArtifactError(
                f"{path}: no column {name!r}; name one of {', '.join(present) or 'none'}, or correct the file"
            )
