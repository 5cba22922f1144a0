"""Puts the demo that ships with Rankway into a data home."""

import shutil
from contextlib import ExitStack
from pathlib import Path

from models.atomic_directory import settled, written_whole
from services.locks import file_lock
from walks.demo.archive import ARCHIVE, read_archive
from walks.world import World, world_at

_SOURCE = "archive.sha256"
"""A file in the unpacked folder, with the hash of the archive that it came from."""


def unpack_demo(home: Path | None = None, archive: Path = ARCHIVE) -> tuple[World, bool]:
    """Put the demo's world and models into `<home>/walks/demo`, unless they are there.

    The folder is replaced completely or not at all. Its live item features stay. If two processes do this at the same
    time, the second waits for the first.

    Args:
        home: the data home, or None for the default.
        archive: the archive to unpack.

    Returns:
        The world, and whether this call unpacked it.

    Raises:
        BadArchiveError: the archive is missing or damaged. An existing folder stays as it was.
        OSError: the data home cannot be written.
    """
    world = world_at("demo", home)
    source, files = read_archive(archive)
    if _is_unpacked(world.root, source, files):
        return world, False
    with file_lock(world.root.with_name(".demo.lock")):  # the lock of `rankway walks build`
        if _is_unpacked(world.root, source, files):
            return world, False
        with ExitStack() as stack:
            if world.root.is_dir():  # take the lock of `rankway features set`
                stack.enter_context(file_lock(world.live.with_name(".live.lock")))
            staging = stack.enter_context(written_whole(world.root))
            for name, content in files.items():
                path = staging / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            (staging / _SOURCE).write_text(source)
            if settled(world.live).is_dir():
                shutil.copytree(settled(world.live), World(staging).live)
    return world, True


def _is_unpacked(root: Path, source: str, files: dict[str, bytes]) -> bool:
    """Return whether a folder has all files of the archive with this hash."""
    try:
        if (root / _SOURCE).read_text() != source:
            return False
        return all((root / name).stat().st_size == len(content) for name, content in files.items())
    except (OSError, ValueError):
        return False
