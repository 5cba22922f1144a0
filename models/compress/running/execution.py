"""Finds or makes the child of a step. A finished step is not executed again, also after its branch was renamed."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from autoscale.registries.errors import PLUGIN_ERRORS
from models.artifact import Artifact
from models.atomic_directory import written_whole
from models.compress.running.failures import is_full_disk
from models.compress.running.keys import Keys
from models.compress.running.links import linked_tree
from models.compress.running.places import StepFolder
from models.compress.running.records import Record
from models.compress.running.superseded import Superseded
from models.compress.steps.base import Model, StepOptions, Work
from models.compress.steps.registry import STEPS


@dataclass(frozen=True, slots=True)
class Made:
    """A step's child.

    Attributes:
        record: the step's record.
        child: the artifact. An earlier run may have judged it.
        is_fresh: whether the step was executed now.
    """

    record: Record
    child: Model
    is_fresh: bool


class Execution:
    """Executes the steps of a recipe that are not finished."""

    def __init__(self, out: Path, keys: Keys, work: Work) -> None:
        """Set the place and the data of all steps.

        Args:
            out: the recipe's folder.
            keys: the keys of steps.
            work: the work of every step, without its key and its checkpoints.
        """
        self._out = out
        self._superseded = Superseded(out)
        self._keys = keys
        self._work = work

    def made(self, label: str, folder: StepFolder, options: StepOptions, parent: Model) -> Made:
        """Return a step's child. If the step is not finished, execute it.

        Raises:
            Exception: the step failed. Its checkpoints are removed.
            OSError: the disk is full. The checkpoints stay.
        """
        key = self._keys.of_step(options, STEPS.for_config(options), parent)
        record = Record.read(folder.record)
        if record is not None and record.key == key and (child := folder.found(record.version)) is not None:
            return Made(record, child, is_fresh=False)
        if record is not None and record.key != key:
            self._superseded.keep(folder, record)  # a later place of the recipe may ask for it
        return self._copied(key, folder) or self._executed(label, key, folder, options, parent)

    def finish(self) -> None:
        """Remove the steps that the recipe no longer has and whose places others have taken."""
        self._superseded.clear()

    def _copied(self, key: str, folder: StepFolder) -> Made | None:
        """Return the same step of another branch, of another place in its branch, or of before. None: there is none."""
        placed = (StepFolder(path.parent, path.stem) for path in sorted(self._out.glob("*/*.json")))
        for place in (*placed, *self._superseded.folders()):
            record = Record.read(place.record)
            if record is None or record.key != key:
                continue
            child = place.found(record.version)
            if child is None:
                continue
            with written_whole(folder.made) as staging:
                linked_tree(child.root, staging)
            record.write(folder.record)
            return Made(record, Model(folder.made, child.artifact), is_fresh=False)
        return None

    def _executed(
        self, label: str, key: str, folder: StepFolder, options: StepOptions, parent: Model
    ) -> Made:
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        progress, begun_s = self._work.progress, time.monotonic()
        work = replace(
            self._work,
            scratch=folder.checkpoints,
            key=key,
            progress=lambda what, done, total, note="": progress(f"{label}: {what}", done, total, note),
        )
        try:
            outcome = STEPS.for_config(options).run(options, parent, folder.made, work)
        except PLUGIN_ERRORS as error:
            if not is_full_disk(error):
                folder.end()
            raise
        child = Model(folder.made, Artifact.load(folder.made))
        record = Record.of(key, child.artifact.version, outcome, time.monotonic() - begun_s)
        record.write(folder.record)
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
        return Made(record, child, is_fresh=True)
