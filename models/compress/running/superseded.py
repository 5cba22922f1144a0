"""Finished steps whose place another step takes, because the recipe changed. Each is kept until a run is finished.

A record is the only proof that an artifact belongs to a key. So if steps were inserted or exchanged, the next step of
the same place would overwrite the record that a later step of this run is looking for.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from models.atomic_directory import written_whole
from models.compress.running.links import linked_tree
from models.compress.running.places import StepFolder
from models.compress.running.records import Record

_FOLDER, _STEP = ".superseded", "step"


class Superseded:
    """The superseded steps of a recipe."""

    def __init__(self, out: Path) -> None:
        """Set the recipe's folder."""
        self._folder = out / _FOLDER

    def keep(self, folder: StepFolder, record: Record) -> None:
        """Keep a step before another one takes its place. Its artifact stays in its place too.

        A step without an undamaged artifact is not kept.

        Raises:
            OSError: it cannot be kept.
        """
        child, kept = folder.found(record.version), StepFolder(self._folder / record.key, _STEP)
        if child is None:
            return
        if kept.found(record.version) is None:
            with written_whole(kept.accepted) as staging:
                linked_tree(child.root, staging)
        record.write(kept.record)

    def folders(self) -> Iterator[StepFolder]:
        """Yield the kept steps."""
        for path in sorted(self._folder.glob(f"*/{_STEP}.json")):
            yield StepFolder(path.parent, _STEP)

    def clear(self) -> None:
        """Remove all kept steps. Those that the recipe has are in their new places."""
        shutil.rmtree(self._folder, ignore_errors=True)
