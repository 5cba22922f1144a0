"""Kill writers: a forked process runs until its n-th audited call (see ``_die_at``), then dies."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

FILES = ("one", "two", "sub/three")


def write_marked(root: Path, mark: str) -> None:
    """Write a folder of several files, each with the text ``mark``."""
    from models.atomic_directory import written_whole

    with written_whole(root) as staging:
        fill(staging, mark)


def fill(folder: Path, mark: str) -> None:
    """Write all files with the text ``mark``."""
    (folder / "sub").mkdir()
    for name in FILES:
        (folder / name).write_text(mark)


def marks_in(folder: Path) -> set[str]:
    """Return the files' texts as a set, with "nothing" for a missing file."""
    return {(folder / name).read_text() if (folder / name).is_file() else "nothing" for name in FILES}


def killed_at(count: int, work: Callable[[], None]) -> bool:
    """Run ``work`` in a process that is killed before its audited call ``count``, and return whether it was killed."""
    child = os.fork()
    if child == 0:
        _die_at(count)
        try:
            work()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the writer failed, and was not killed"
    return False


def _die_at(count: int) -> None:
    seen = 0

    def hook(event: str, _arguments: object) -> None:
        nonlocal seen
        if event == "open" or event.startswith(("os.", "fcntl.", "ctypes.", "shutil.")):
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
