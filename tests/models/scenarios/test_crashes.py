"""After a writer is killed at any time, readers find the complete old or new folder, and the next writer succeeds."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import atomic_directory
from models.atomic_directory import settled
from tests.models.crashing import fill, killed_at, marks_in, write_marked

CALL_LIMIT = 1000


@pytest.fixture(name="exchange", params=["exchange", "two renames"])
def _exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run the test with and without a file system that can exchange two names."""
    can: bool = request.param == "exchange"
    if not can:
        # As renameat2 reports on NFS.
        monkeypatch.setattr(atomic_directory, "exchanged", lambda _one, _other: False)
    return can


def test_writer_killed_at_any_call_leaves_the_old_or_the_new_folder(tmp_path: Path, exchange: bool) -> None:
    marks, moved_aside = set(), False
    for call in range(1, CALL_LIMIT):
        root = tmp_path / str(call) / "d"
        write_marked(root, "old")
        killed = killed_at(call, lambda root=root: write_marked(root, "new"))  # type: ignore[misc]
        marks |= (seen := marks_in(settled(root)))
        moved_aside |= settled(root) != root
        assert seen in ({"old"}, {"new"}), f"killed at call {call}"
        write_marked(root, "next")
        assert marks_in(root) == {"next"}
        assert [path.name for path in root.parent.iterdir()] == ["d"], f"left by one killed at call {call}"
        if not killed:
            break
    assert not killed
    assert call > 20
    assert marks == {"old", "new"}
    assert moved_aside is not exchange


def test_first_writer_killed_at_any_call_leaves_nothing_or_a_complete_folder(tmp_path: Path) -> None:
    for call in range(1, CALL_LIMIT):
        root = tmp_path / str(call) / "d"
        killed = killed_at(call, lambda root=root: write_marked(root, "new"))  # type: ignore[misc]
        assert marks_in(settled(root)) in ({"nothing"}, {"new"})
        assert settled(root) == root
        assert not root.exists() or marks_in(root) == {"new"}
        if not killed:
            break
    assert not killed
    write_marked(root, "next")
    assert [path.name for path in root.parent.iterdir()] == ["d"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.tuples(st.integers(1, 90), st.booleans()), min_size=2, max_size=5))
def test_series_of_killed_writers_loses_no_existing_folder(
    tmp_path_factory: pytest.TempPathFactory, kills: list[tuple[int, bool]]
) -> None:
    root = tmp_path_factory.mktemp("row") / "d"
    write_marked(root, "0")
    possible = {"0"}
    for number, (call, can_exchange) in enumerate(kills, 1):
        with pytest.MonkeyPatch.context() as patch:
            if not can_exchange:
                patch.setattr(atomic_directory, "exchanged", lambda _one, _other: False)
            killed = killed_at(call, lambda number=number: write_marked(root, str(number)))  # type: ignore[misc]
        seen = marks_in(settled(root))
        assert len(seen) == 1
        assert seen <= possible | {str(number)}
        assert killed or seen == {str(number)}
        possible = seen
    write_marked(root, "last")
    assert marks_in(root) == {"last"}
    assert [path.name for path in root.parent.iterdir()] == ["d"]


def test_readers_find_a_folder_that_was_moved_aside_and_write_nothing(tmp_path: Path) -> None:
    write_marked(tmp_path / "outer", "old")
    (tmp_path / "outer").rename(tmp_path / "outer.replaced")  # the state after a kill between the two renames
    before = sorted(tmp_path.rglob("*"))
    assert marks_in(settled(tmp_path / "outer")) == {"old"}
    assert settled(tmp_path / "outer" / "sub" / "three").read_text() == "old"
    assert settled(tmp_path / "outer" / "none") == tmp_path / "outer.replaced" / "none"
    assert settled(tmp_path / "none" / "none") == tmp_path / "none" / "none"
    assert sorted(tmp_path.rglob("*")) == before  # readers change nothing


def test_removes_the_remains_of_an_older_version(tmp_path: Path) -> None:
    """Start with the files that an older version left when it was killed.

    It wrote into ``d.writing`` itself, and was killed there and before it had removed ``d.replaced``.
    """
    for name, mark in (("d", "now"), ("d.writing", "half"), ("d.replaced", "older")):
        (tmp_path / name).mkdir()
        fill(tmp_path / name, mark)
    assert marks_in(settled(tmp_path / "d")) == {"now"}
    write_marked(tmp_path / "d", "new")
    assert marks_in(tmp_path / "d") == {"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
