"""Directories that are there whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WRITING, _REPLACED = ".writing", ".replaced"


def recover(root: Path) -> None:
    """Put back what was at ``root`` when a writer was killed between the two renames that replace it."""
    replaced = root.with_name(root.name + _REPLACED)
    if replaced.exists() and not root.exists():
        replaced.rename(root)


@contextmanager
def written_whole(root: Path) -> Iterator[Path]:
    """Give an empty directory to write into; it takes the place of ``root`` when the block ends well.

    When the block fails, what was at ``root`` stays as it was and nothing half-written is left behind.
    """
    staging, replaced = (root.with_name(root.name + suffix) for suffix in (_WRITING, _REPLACED))
    recover(root)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
    if root.exists():
        root.rename(replaced)
    staging.rename(root)
    shutil.rmtree(replaced, ignore_errors=True)
