"""Write files and names that survive a power cut: the content is on disk before the name."""

import ctypes
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_WRITING = ".writing"

_NOT_FOR_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
"""Error codes from file systems that cannot synchronise a folder, and do not need to."""
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # from Linux's fcntl.h and fs.h


def write_file(path: Path, text: str) -> None:
    """Write a file completely or not at all, as ``replacing`` does, and wait until its name is on disk.

    Raises:
        OSError: the file cannot be written. The old file is unchanged.
    """
    with replacing(path) as file:
        file.write(text.encode())
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces ``path`` if the block ends without an error.

    The content is on disk before the file is renamed. Readers see the old content or the new content. Concurrent
    writers do not mix: each has its own temporary file, and the last writer to finish wins.

    Raises:
        OSError: the file cannot be written. The old file is unchanged.
    """
    file = _staging_file(path)
    staging = Path(file.name)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            staging.replace(path)
    except BaseException:
        with suppress(OSError):
            staging.unlink()
        raise


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a folder.

    A running writer holds a lock on its file. Files that cannot be locked or removed stay.
    """
    for staging in folder.glob(f".*{_WRITING}"):
        with suppress(OSError), staging.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            staging.unlink()


def _staging_file(path: Path) -> BinaryIO:
    """Open a new file beside ``path``, and lock it if the file system has locks.

    Its random name is unique across machines, whereas pods that share a volume may have equal process ids.
    """
    while True:
        file = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_WRITING}").open("xb")
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # remove_abandoned removed the file before it was locked


def sync_tree(folder: Path) -> None:
    """Wait until all files below a folder, and their names, are on disk."""
    for directory, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                _sync(path)
        sync_folder(Path(directory))


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step. Return False if the system or the file system does not support this.

    Raises:
        OSError: the system can exchange names, but not these two.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
