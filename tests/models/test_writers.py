"""Concurrent writers of one folder, and the order of the steps that put a folder on disk."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from models import writers
from models.atomic_directory import written_whole
from models.durable import exchanged, write_file
from models.errors import FolderBusy
from tests.models.crashing import FILES, fill, marks_in, write_marked

WRITES = 25
LIMIT_S = 60.0
FORK = multiprocessing.get_context("fork")


def write_often(root: Path, mark: str, refused: int) -> None:
    """Write the folder many times, and exit with 0 if at most ``refused`` writes failed."""
    failed = 0
    for number in range(WRITES):
        try:
            write_marked(root, f"{mark}{number}")
        except (OSError, FolderBusy):
            failed += 1
    os._exit(0 if failed <= refused else 1)


def read_current(root: Path) -> set[str]:
    """Return the texts of the folder that has the name now, or an empty set if it was removed meanwhile."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return {Path(f"/proc/self/fd/{folder}/{name}").read_text() for name in FILES}
    except FileNotFoundError:
        return set()
    finally:
        os.close(folder)


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "a file system without locks"])
def test_concurrent_writers_never_mix_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    if not locks:
        monkeypatch.setattr(writers, "_try_lock", lambda _descriptor: True)
    root = tmp_path / "d"
    write_marked(root, "first")
    refused = 0 if locks else WRITES
    started = [FORK.Process(target=write_often, args=(root, mark, refused)) for mark in "abc"]
    for process in started:
        process.start()
    seen: set[str] = set()
    while any(process.is_alive() for process in started):
        marks = read_current(root)
        assert len(marks) <= 1
        seen |= marks
    for process in started:
        process.join(LIMIT_S)
        assert process.exitcode == 0
    assert len(seen) > 2  # the folder was read while it was written
    assert len(marks_in(root)) == 1
    write_marked(root, "last")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_the_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    root, second_writer = tmp_path / "d", threading.Thread(target=lambda: write_marked(root, "second"))
    with written_whole(root) as staging:
        second_writer.start()
        fill(staging, "first")
        assert not root.exists()
        assert [path.name for path in tmp_path.iterdir()] == ["d.writing"]
    second_writer.join(LIMIT_S)
    assert marks_in(root) == {"second"}
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_writer_fails_after_the_wait_limit_and_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "d"
    with written_whole(root) as staging:
        fill(staging, "first")
        with pytest.raises(FolderBusy) as raised, written_whole(root, wait_limit_s=0.1):
            pass
    assert str(raised.value).startswith(
        f"{root}: another process has been writing this folder for 0.1 s; wait"
    )
    assert marks_in(root) == {"first"}


def test_refuses_to_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("mine")
    with (
        pytest.raises(NotADirectoryError, match="got a file; remove the file"),
        written_whole(tmp_path / "d"),
    ):
        pass
    assert (tmp_path / "d").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_link_to_a_folder_is_replaced_and_the_folder_stays(tmp_path: Path) -> None:
    write_marked(tmp_path / "elsewhere", "old")
    (tmp_path / "d").symlink_to(tmp_path / "elsewhere")
    write_marked(tmp_path / "d", "new")
    assert marks_in(tmp_path / "d") == {"new"}
    assert marks_in(tmp_path / "elsewhere") == {"old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "elsewhere"]


def test_syncs_files_before_the_exchange_and_names_before_the_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "d"
    steps: list[object] = []
    write_marked(root, "old")
    fsync, rename = os.fsync, Path.rename

    def recorded_fsync(descriptor: int) -> None:
        steps.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def recorded_exchange(one: Path, other: Path) -> bool:
        steps.append("exchange")
        return exchanged(one, other)

    def recorded_rename(path: Path, target: Path) -> Path:
        steps.append("removal")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr("models.atomic_directory.exchanged", recorded_exchange)
    monkeypatch.setattr(Path, "rename", recorded_rename)
    with written_whole(root) as staging:
        fill(staging, "new")
    exchange = steps.index("exchange")
    assert set(steps[:exchange]) == {staging, staging / "sub", *(staging / name for name in FILES)}
    assert steps[exchange + 1 : exchange + 3] == [tmp_path, "removal"]


def test_file_is_on_disk_before_it_replaces_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fsync, contents = tmp_path / "f", os.fsync, []

    def recorded_fsync(descriptor: int) -> None:
        fsync(descriptor)
        contents.append((os.readlink(f"/proc/self/fd/{descriptor}") == str(tmp_path), path.read_text()))

    write_file(path, "old")
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    write_file(path, "new")
    assert contents == [(False, "old"), (True, "new")]
    with pytest.raises(UnicodeEncodeError):
        write_file(path, "half \ud800")
    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_exchanges_names_in_one_step_if_the_kernel_can(tmp_path: Path) -> None:
    for name in "ab":
        write_marked(tmp_path / name, name)
    assert exchanged(tmp_path / "a", tmp_path / "b")
    assert (marks_in(tmp_path / "a"), marks_in(tmp_path / "b")) == ({"b"}, {"a"})
    # The kernel returns EINVAL, as on a file system without exchange.
    assert not exchanged(tmp_path / "a", tmp_path / "a" / "sub")
    with pytest.raises(FileNotFoundError):
        exchanged(tmp_path / "a", tmp_path / "none")
