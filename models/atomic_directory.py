"""Folders that are there whole or not at all.

A writer fills a new folder, waits until it is on disk, and exchanges it with the old one in one step. There is one
writer of a folder at a time; the next one waits. Two names beside the folder belong to its writers:

- ``<name>.writing/`` holds the writers' lock and the new folder (``models/writers.py``).
- ``<name>.replaced`` is the old folder, on a file system that cannot exchange two names (NFS, some overlays). There
  the old one is renamed first, then the new one. If the writer is killed in between, readers find the old folder here.

The next writer removes what a killed one left. Readers never write, so they work on a read-only disk.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.durable import exchanged, sync_folder, sync_tree
from models.writers import remove, writing_in

_WRITING, _REPLACED = ".writing", ".replaced"
_WAIT_LIMIT_S = 60.0
_RENAME_LIMIT_S = 0.1
"""How long a reader waits for a writer that is between its two renames."""


def settled(path: Path) -> Path:
    """Return where to read ``path``: a folder that was written whole, or something in one.

    That is ``path`` itself, unless a writer was killed between two renames: then it is in the old folder that was
    moved aside. If there is neither, it is ``path``.
    """
    if os.path.lexists(path) or path == path.parent:
        return path
    here = settled(path.parent) / path.name
    aside = here.with_name(here.name + _REPLACED)
    until_s = time.monotonic() + _RENAME_LIMIT_S
    while not os.path.lexists(here) and os.path.lexists(aside):
        if time.monotonic() > until_s:
            return aside
        time.sleep(_RENAME_LIMIT_S / 10)
    return here


@contextmanager
def written_whole(root: Path, *, wait_limit_s: float = _WAIT_LIMIT_S) -> Iterator[Path]:
    """Yield an empty folder to write into; it takes the place of ``root`` when the block ends without an error.

    If the block fails, the old folder stays and nothing half-written is left.

    Raises:
        FolderBusy: another writer had the folder for all of ``wait_limit_s``.
        OSError: ``root`` is a file, or the folder cannot be written; the old one is unchanged.
    """
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is a file; remove it, or name another folder", str(root))
    with writing_in(root.with_name(root.name + _WRITING), wait_limit_s, root) as staging:
        _recover(root, staging.parent)
        yield staging
        sync_tree(staging)
        _put(staging, root)


def recover(root: Path) -> None:
    """Put back a folder that a killed writer moved aside, for a program that reads it and writes it later.

    Raises:
        FolderBusy, OSError: as ``written_whole``.
    """
    if not os.path.lexists(root) and os.path.lexists(root.with_name(root.name + _REPLACED)):
        with writing_in(root.with_name(root.name + _WRITING), _WAIT_LIMIT_S, root) as staging:
            _recover(root, staging.parent)


def is_of_a_writer(path: Path) -> bool:
    """Whether a path lies in the folder of a writer that is at work, or was killed."""
    return any(part.endswith(_WRITING) for part in path.parts)


def _recover(root: Path, writers: Path) -> None:
    """Finish for a writer that was killed between its two renames, or before it removed the old folder."""
    replaced = root.with_name(root.name + _REPLACED)
    if not os.path.lexists(replaced):
        return
    if os.path.lexists(root):
        remove(replaced, writers)
    else:
        replaced.rename(root)
        sync_folder(root.parent)


def _put(staging: Path, root: Path) -> None:
    """Name the new folder; the old one is removed once the new name is on disk."""
    if not os.path.lexists(root):
        staging.rename(root)
        sync_folder(root.parent)
    elif exchanged(staging, root):  # the old one is now in the writers' folder, and is removed with it
        sync_folder(root.parent)
    else:
        replaced = root.with_name(root.name + _REPLACED)
        root.rename(replaced)
        try:
            staging.rename(root)
        except OSError:
            replaced.rename(root)
            raise
        sync_folder(root.parent)
        remove(replaced, staging.parent)
