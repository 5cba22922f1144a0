"""The history of active releases names a rollback's target, and loses no activation."""

import multiprocessing
from pathlib import Path

import pytest

from services.errors import ReleaseError
from services.releases.history import ReleaseHistory
from tests.models.crashing import killed_at

LIMIT_S = 30.0


@pytest.fixture
def history(tmp_path: Path) -> ReleaseHistory:
    return ReleaseHistory(tmp_path / "releases")


def test_activation_appends_and_rollback_removes(history: ReleaseHistory) -> None:
    assert history.active() is None
    with pytest.raises(ReleaseError, match="cannot roll back: no staged release was active before"):
        history.previous()
    for name in ("a", "b", "b", "c"):
        history.note_active(name)
    assert history.names() == ["a", "b", "c"]
    history.note_active(history.previous(), is_rollback=True)
    assert history.names() == ["a", "b"]
    history.note_active("a")
    assert history.names() == ["a", "b", "a"]
    assert history.previous() == "b"
    assert history.active() == "a"


def test_keeps_all_of_several_simultaneous_activations(history: ReleaseHistory) -> None:
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=history.note_active, args=(f"r{number}",)) for number in range(8)]
    for process in started:
        process.start()
    for process in started:
        process.join(LIMIT_S)
        assert process.exitcode == 0
    assert sorted(history.names()) == [f"r{number}" for number in range(8)]


def test_a_killed_activation_leaves_the_old_or_the_new_history(history: ReleaseHistory) -> None:
    history.note_active("a")
    for step in range(1, 100):
        killed = killed_at(step, lambda: history.note_active("b"))
        assert history.names() in (["a"], ["a", "b"])
        if not killed:
            break
        history.note_active("a", is_rollback=True)
    assert not killed
    assert history.names() == ["a", "b"]


def test_refuses_a_file_that_is_not_a_history(tmp_path: Path, history: ReleaseHistory) -> None:
    history.note_active("a")
    (tmp_path / "releases" / "history.yaml").write_text("a: b")
    with pytest.raises(ReleaseError, match="must be a list of release names"):
        history.names()
