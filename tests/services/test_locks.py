"""Locks: one process per machine holds a lock at a time, and no lock is held forever."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from services.locks import file_lock, host_lock
from tests.services.stores.servers import until

LIMIT_S = 30.0


def test_one_process_holds_the_lock_and_others_wait_up_to_the_limit() -> None:
    name = f"test-{os.getpid()}"
    with host_lock(name, 0.0) as first:
        assert first
        with host_lock(name, 0.05) as second:
            assert not second
    with host_lock(name, 0.0) as third:
        assert third


def hold_until_killed(lock: Path) -> None:
    with file_lock(lock):
        lock.with_name("is-held").touch()
        signal.pause()


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "missing" / "folder" / "lock"
    is_held = lock.with_name("is-held")
    fork = multiprocessing.get_context("fork").Process
    holder, waiter = (fork(target=hold_until_killed, args=(lock,)) for _ in range(2))
    try:
        holder.start()
        until(is_held.exists, LIMIT_S)
        is_held.unlink()
        waiter.start()
        holder.kill()
        until(is_held.exists, LIMIT_S)
    finally:
        for process in (holder, waiter):
            process.kill()
            process.join(LIMIT_S)
    with file_lock(lock):
        assert (holder.exitcode, waiter.exitcode) == (-signal.SIGKILL, -signal.SIGKILL)


def test_lock_file_that_cannot_be_created_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for lock in (tmp_path / "file" / "lock", tmp_path / "folder"):
        with pytest.raises(OSError, match=str(tmp_path)), file_lock(lock):
            pass
