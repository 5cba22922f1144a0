"""Folders that are written completely or not at all.

A writer fills a new folder, waits until its content is on disk, and exchanges it with the old folder in one step. A
folder has one writer at a time, and the next writer waits. Two names beside the folder belong to its writers:

- ``<name>.writing/`` holds the writers' lock and the new folder (``models/writers.py``).
- ``<name>.replaced`` is the old folder, on a file system that cannot exchange two names (NFS, some overlays). There
  the old folder is renamed first, then the new folder. If the writer is killed in between, readers use this name.

The next writer removes the remains of a killed writer. Readers never write, so they work on a read-only disk.
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
    """Return the path from which to read ``path``, a completely written folder or a file in such a folder.

    This is usually ``path`` itself. If a writer was killed between its two renames, the old folder lies under its other
    name, and the result is the same folder or file there. If neither exists, the result is ``path``.
    """
    if os.path.lexists(path) or path == path.parent:
        return path
    current = settled(path.parent) / path.name
    replaced = current.with_name(current.name + _REPLACED)
    until_s = time.monotonic() + _RENAME_LIMIT_S
    while not os.path.lexists(current) and os.path.lexists(replaced):
        if time.monotonic() > until_s:
            return replaced
        time.sleep(_RENAME_LIMIT_S / 10)
    return current


@contextmanager
def written_whole(root: Path, *, wait_limit_s: float = _WAIT_LIMIT_S) -> Iterator[Path]:
    """Yield an empty folder to write into.

    The new folder replaces ``root`` if the block ends without an error. If the block fails, the old folder stays and
    nothing half-written is left.

    Raises:
        FolderBusy: another process was writing the folder for ``wait_limit_s``.
        OSError: ``root`` is a file, or the folder cannot be written. The old folder is unchanged.
    """
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, "expected a folder, got a file; remove the file, or name another folder", str(root)
        )
    with writing_in(root.with_name(root.name + _WRITING), wait_limit_s, root) as staging:
        _recover(root, staging.parent)
        yield staging
        sync_tree(staging)
        put(staging, root, staging.parent)


def recover(root: Path) -> None:
    """Put back a folder that a killed writer moved aside. Call this before reading a folder that is written later.

    Raises:
        FolderBusy: another process was writing the folder for 60 s.
        OSError: the folder cannot be put back.
    """
    if not os.path.lexists(root) and os.path.lexists(root.with_name(root.name + _REPLACED)):
        with writing_in(root.with_name(root.name + _WRITING), _WAIT_LIMIT_S, root) as staging:
            _recover(root, staging.parent)


def is_of_a_writer(path: Path) -> bool:
    """Return whether a path lies in a folder that belongs to a running or killed writer."""
    return any(part.endswith(_WRITING) for part in path.parts)


def _recover(root: Path, writers: Path) -> None:
    """Finish the work of a writer that was killed between its two renames, or before it removed the old folder."""
    replaced = root.with_name(root.name + _REPLACED)
    if not os.path.lexists(replaced):
        return
    if os.path.lexists(root):
        remove(replaced, writers)
    else:
        replaced.rename(root)
        sync_folder(root.parent)


def put(folder: Path, root: Path, scratch: Path) -> None:
    """Rename a completely written folder to ``root``. Remove the old folder after the new name is on disk.

    Args:
        folder: the new folder, on the same file system.
        root: the new name.
        scratch: a folder of this writer, in which the old folder is removed. It may contain ``folder``.

    Raises:
        OSError: it cannot be renamed. The old folder is unchanged.
    """
    if not os.path.lexists(root):
        folder.rename(root)
        sync_folder(root.parent)
    elif exchanged(folder, root):  # the old folder has the new folder's former name
        sync_folder(root.parent)
        remove(folder, scratch)
    else:
        replaced = root.with_name(root.name + _REPLACED)
        root.rename(replaced)
        try:
            folder.rename(root)
        except OSError:
            replaced.rename(root)
            raise
        sync_folder(root.parent)
        remove(replaced, scratch)
