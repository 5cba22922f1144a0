"""The writers' folder beside an atomically written folder.

One writer at a time works in the writers' folder. This folder contains the lock file and the writer's new folder, and
is removed after the write. The system frees a killed process's lock, and the next writer removes the files that were
left.
"""

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.errors import FolderBusy

_LOCK = "lock"
_POLL_PERIOD_S = 0.02
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}


@contextmanager
def writing_in(folder: Path, limit_s: float, root: Path) -> Iterator[Path]:
    """Yield a new, empty folder in ``folder`` that only this writer uses, and remove it afterwards.

    On a file system without locks, two writers can work in ``folder`` at once. Then the first writer fails, because the
    second one removes the first one's new folder. Their contents do not mix.

    Raises:
        FolderBusy: another process was writing ``root`` for ``limit_s``.
        OSError: the folder cannot be made.
    """
    descriptor = _acquire_lock(folder, time.monotonic() + limit_s)
    if descriptor is None:
        raise FolderBusy(
            f"{root}: another process has been writing this folder for {limit_s:g} s; wait until that process ends, or "
            f"stop it, and try again"
        )
    try:
        for leftover in folder.iterdir():
            if leftover.name != _LOCK:
                remove(leftover, folder)
        staging = folder / f"{os.getpid()}-{secrets.token_hex(8)}"
        staging.mkdir()
        try:
            yield staging
        finally:
            remove(staging, folder)
    finally:
        # A writer that waits for this lock sees that the file has lost its name, and makes a new lock file.
        (folder / _LOCK).unlink(missing_ok=True)
        os.close(descriptor)
        with suppress(OSError):
            folder.rmdir()  # the next writer may use the folder already


def remove(path: Path, folder: Path) -> None:
    """Remove a file or folder that is no longer read.

    If the removal fails, the next writer tries again. The path is first moved into the writers' folder, so that a
    process that still writes to it gets an error instead of half a folder.
    """
    removed = folder / f"{secrets.token_hex(8)}.removed"
    with suppress(OSError):
        path.rename(removed)
        if removed.is_dir() and not removed.is_symlink():
            shutil.rmtree(removed, ignore_errors=True)
        else:
            removed.unlink()


def _acquire_lock(folder: Path, until_s: float) -> int | None:
    """Open the lock file and lock it. Return None if another writer holds the lock until ``until_s``."""
    lock = folder / _LOCK
    while True:
        with suppress(FileExistsError):  # not ``exist_ok``, which raises if the folder is removed meanwhile
            folder.mkdir(parents=True)
        with suppress(FileNotFoundError):  # the previous writer has just removed the folder
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                if _try_lock(descriptor) and _is_named(descriptor, lock):
                    return descriptor
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)
        if time.monotonic() > until_s:
            return None
        time.sleep(_POLL_PERIOD_S)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _is_named(descriptor: int, path: Path) -> bool:
    """Return whether the open file still has this name, which the previous writer removes while it holds the lock."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
