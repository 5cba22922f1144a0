"""A fault of the served log: the log's disk, a file system in memory with a size limit, becomes full."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.outages.fault import Fault

_SIZE_BYTES = 128 * 1024 * 1024
_PART = b"\0" * 65_536


@contextmanager
def limited_disk(folder: Path) -> Iterator[bool]:
    """Mount an empty file system at ``folder``. Yield whether this user was allowed to do so."""
    folder.mkdir(parents=True, exist_ok=True)
    if not _mount(f"size={_SIZE_BYTES}", folder):
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def disk_fault(folder: Path, dropped: Callable[[], float]) -> Fault:
    """Return the fault of a full disk. ``dropped`` returns how many rows the log has lost."""
    filler, lost, written = folder / "filler", [0.0], [0]

    def files() -> int:
        return sum(1 for _ in folder.rglob("*.parquet"))

    def fill() -> None:
        lost[0] = dropped()
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(_PART):
                    pass
            except OSError:  # the disk is full
                pass

    def empty() -> None:
        filler.unlink()
        written[0] = files()

    return Fault(
        "log-full",
        "the disk of the served log is full, then has room again",
        fill,
        empty,
        notes=lambda: {"rows_dropped": dropped() - lost[0], "files_after": float(files() - written[0])},
    )


def _mount(options: str, folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "rankway-log", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
