"""Runs a recipe: each branch from its parent, each step measured, judged and recorded. A killed run is resumed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autoscale.registries.errors import PLUGIN_ERRORS
from models.compress.data.base import RecipeData
from models.compress.figures import Figures
from models.compress.machine import machine
from models.compress.quality import NAMES
from models.compress.recipe import ORIGINAL, Branch, Recipe
from models.compress.rows import Result, Row
from models.compress.running.execution import Execution, Made
from models.compress.running.failures import failure_of, is_full_disk
from models.compress.running.keys import Keys
from models.compress.running.measurements import Measurements, Measures
from models.compress.running.originals import remove_other_originals
from models.compress.running.places import StepFolder
from models.compress.running.records import Record
from models.compress.steps.base import Model, StepOptions, Work
from models.training.loop import Progress
from models.writers import writing_in

_WAIT_LIMIT_S = 1.0
_UNCHANGED = "it changed nothing: its files are those of its parent; remove the step, or use other options"


@dataclass(frozen=True, slots=True)
class _Parent:
    """A model with the label of the row that describes it."""

    label: str
    model: Model


class Chain:
    """A recipe with its data and its original."""

    def __init__(
        self,
        recipe: Recipe,
        home: Path,
        original: Model,
        data: RecipeData,
        meter: Measures,
        progress: Progress,
        *,
        own_folder: Path | None = None,
    ) -> None:
        """Hash the data and the code.

        Args:
            recipe: the recipe.
            home: the data home. The recipe's folder is relative to it.
            original: the model to compress.
            data: the lists.
            meter: measures the models.
            progress: called with the progress of steps and of measuring.
            own_folder: the original's own folder, for the report. None: that of ``original``.
        """
        self._recipe = recipe
        self._home = home
        self._out = home / recipe.out
        self._original = original
        self._own_folder = own_folder or original.root
        self._data = data
        self._progress = progress
        keys = Keys(recipe, data, original)
        work = Work(original, data, self._out, "", progress, recipe.seed, recipe.threads)
        self._execution = Execution(self._out, keys, work)
        self._measurements = Measurements(meter, keys, progress)
        self._rows: list[Row] = []

    def run(self, report: Callable[[Result], object] = lambda _: None) -> Result:
        """Run the steps that are not finished. A rejected or failed step is skipped: the next one reads its parent.

        Args:
            report: called with the result while no other run can write the recipe's folder.

        Raises:
            FolderBusy: another run is writing the recipe's folder.
            ModelError: the original cannot be measured.
            OSError: the disk is full, or cannot be written.
        """
        with writing_in(self._out.with_name(f"{self._out.name}.writing"), _WAIT_LIMIT_S, self._out):
            remove_other_originals(self._out, self._original.artifact.version)
            self._add(self._original_row())
            last = {ORIGINAL: _Parent(ORIGINAL, self._original)}
            for branch in self._recipe.ordered():
                last[branch.name] = self._run_branch(branch, last[branch.of])
            if all(row.state != "failed" for row in self._rows):
                self._execution.finish()
            result = self._result()
            report(result)
        return result

    def _result(self) -> Result:
        labels = self._data.labels()
        return Result(
            recipe=self._recipe.model_dump(mode="json"),
            metric=NAMES[self._recipe.measure.metric],
            lists=len(labels.offsets) - 1,
            users=labels.user_count,
            at=datetime.now().astimezone().isoformat(timespec="seconds"),
            machine=machine(),
            rows=tuple(self._rows),
        )

    def _run_branch(self, branch: Branch, parent: _Parent) -> _Parent:
        for number, options in enumerate(branch.steps, 1):
            folder = StepFolder(self._out / branch.name, f"{number:02d}-{options.kind}")
            label = f"{branch.name}/{folder.name}"
            row, child = self._run_step(label, folder, options, parent)
            self._add(row)
            if child is not None:
                parent = _Parent(label, child)
        return parent

    def _run_step(
        self, label: str, folder: StepFolder, options: StepOptions, parent: _Parent
    ) -> tuple[Row, Model | None]:
        """Return a step's row, and its model if it was accepted."""
        row = Row(label=label, parent=parent.label, kind=options.kind, options=options.lineage)
        try:
            made = self._execution.made(label, folder, options, parent.model)
            figures = self._measurements.figures(label, folder, made.record, made.child, parent.model)
        except PLUGIN_ERRORS as error:
            if is_full_disk(error):
                raise
            reason = failure_of(error, options.kind, folder)
            return row.model_copy(update={"state": "failed", "reason": reason}), None
        refusal = self._refusal(made, figures, options, parent.model)
        child = folder.judged(made.child, is_accepted=refusal is None)
        kept = None if refusal is None else folder.accepted_version()
        if kept is not None:
            accepted = folder.accepted.relative_to(self._home)
            refusal = f"{refusal}; {accepted} still has version {kept}, which an earlier run accepted"
        update = {
            "path": str(child.root.relative_to(self._home)),
            "version": child.artifact.version,
            "state": "accepted" if refusal is None else "rejected",
            "reason": refusal or "",
            "figures": figures,
            "facts": made.record.facts,
            "tables": made.record.tables,
            "wall_s": made.record.wall_s,
            "fresh": made.is_fresh,
        }
        return row.model_copy(update=update), child if refusal is None else None

    def _refusal(self, made: Made, figures: Figures, options: StepOptions, parent: Model) -> str | None:
        """Return the reason for which a step is rejected, or None if it is accepted."""
        if made.child.artifact.version == parent.artifact.version:
            return _UNCHANGED
        gate = self._recipe.gate.of_step(options.gate, keeps_speed=options.keeps_speed)
        return gate.refusal(figures, NAMES[self._recipe.measure.metric])

    def _original_row(self) -> Row:
        folder, version = StepFolder(self._out, ORIGINAL), self._original.artifact.version
        record = Record.read(folder.record) or Record(key=version, version=version, wall_s=0.0)
        figures = self._measurements.figures(ORIGINAL, folder, record, self._original, self._original)
        root = self._own_folder
        path = root.relative_to(self._home) if root.is_relative_to(self._home) else root
        return Row(label=ORIGINAL, path=str(path), version=version, figures=figures, fresh=False)

    def _add(self, row: Row) -> None:
        self._rows.append(row)
        total = sum(len(branch.steps) for branch in self._recipe.ordered())
        self._progress("steps", len(self._rows) - 1, total, row.label)
