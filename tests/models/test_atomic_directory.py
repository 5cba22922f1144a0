"""A folder is replaced completely, or stays unchanged."""

from pathlib import Path

import pytest

from models.atomic_directory import written_whole


def test_new_folder_replaces_the_old_one(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with written_whole(tmp_path / "d") as staging:
            (staging / content).write_text(content)
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_failed_write_leaves_only_the_old_folder(tmp_path: Path) -> None:
    with written_whole(tmp_path / "d") as staging:
        (staging / "old").write_text("old")
    with pytest.raises(OSError, match="full"), written_whole(tmp_path / "d") as staging:
        (staging / "half").write_text("half")
        raise OSError("full")
    assert [path.name for path in tmp_path.rglob("*")] == ["d", "old"]


def test_a_writer_killed_between_its_renames_loses_nothing(tmp_path: Path) -> None:
    with written_whole(tmp_path / "d") as staging:
        (staging / "old").write_text("old")
    (tmp_path / "d").rename(tmp_path / "d.replaced")  # the state after a kill between the two renames
    with pytest.raises(OSError, match="full"), written_whole(tmp_path / "d"):
        raise OSError("full")
    assert [path.name for path in tmp_path.rglob("*")] == ["d", "old"]


def test_removes_the_remains_of_an_interrupted_write(tmp_path: Path) -> None:
    (tmp_path / "d.writing").mkdir()
    (tmp_path / "d.writing" / "half").write_text("half")
    with written_whole(tmp_path / "d") as staging:
        (staging / "new").write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["d", "new"]
