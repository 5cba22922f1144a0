"""Runs a recipe: each branch from its parent, each step measured, judged and recorded. A killed run is resumed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from autoscale.registries.errors import PLUGIN_ERRORS
from models.artifact import Artifact
from models.compress.data.base import RecipeData
from models.compress.figures import Figures
from models.compress.keys import Keys
from models.compress.machine import machine
from models.compress.places import StepFolder
from models.compress.quality import NAMES
from models.compress.recipe import ORIGINAL, Branch, Recipe
from models.compress.records import Record
from models.compress.rows import Result, Row
from models.compress.steps.base import AnyStepKind, Model, Outcome, StepOptions, Work
from models.compress.steps.registry import STEPS
from models.errors import CompressionError, ModelError
from models.training.loop import Progress
from models.writers import writing_in

_WAIT_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class _Parent:
    """A model with the label of the row that describes it."""

    label: str
    model: Model


class _Meter(Protocol):
    def measure(self, child: Model, parent: Model, progress: Callable[[int, int], None], /) -> Figures:
        """Return a child's figures, as ``Meter.measure`` does."""
        ...


class Chain:
    """A recipe with its data and its original."""

    def __init__(
        self,
        recipe: Recipe,
        home: Path,
        original: Model,
        data: RecipeData,
        meter: _Meter,
        progress: Progress,
    ) -> None:
        """Hash the data and the code.

        Args:
            recipe: the recipe.
            home: the data home. The recipe's folder is relative to it.
            original: the model to compress.
            data: the lists.
            meter: measures the models.
            progress: called with the progress of steps and of measuring.
        """
        self._recipe = recipe
        self._home = home
        self._out = home / recipe.out
        self._original = original
        self._data = data
        self._progress = progress
        self._keys = Keys(recipe, data, original)
        self._meter = meter
        self._rows: list[Row] = []

    def run(self, each: Callable[[Row], None] = lambda _: None) -> Result:
        """Run the steps that are not finished. A rejected or failed step is skipped: the next one reads its parent.

        Args:
            each: called with each row as soon as it is known.

        Raises:
            FolderBusy: another run is writing the recipe's folder.
            ModelError: the original cannot be measured.
            OSError: the disk is full, or cannot be written.
        """
        with writing_in(self._out.with_name(f"{self._out.name}.writing"), _WAIT_LIMIT_S, self._out):
            self._add(self._original_row(), each)
            last = {ORIGINAL: _Parent(ORIGINAL, self._original)}
            for branch in self._recipe.ordered():
                last[branch.name] = self._run_branch(branch, last[branch.of], each)
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

    def _run_branch(self, branch: Branch, parent: _Parent, each: Callable[[Row], None]) -> _Parent:
        for number, options in enumerate(branch.steps, 1):
            folder = StepFolder(self._out / branch.name, f"{number:02d}-{options.kind}")
            label = f"{branch.name}/{folder.name}"
            row, child = self._run_step(label, folder, options, parent)
            self._add(row, each)
            if child is not None:
                parent = _Parent(label, child)
        return parent

    def _run_step(
        self, label: str, folder: StepFolder, options: StepOptions, parent: _Parent
    ) -> tuple[Row, Model | None]:
        """Return a step's row, and its model if it was accepted."""
        row = Row(label=label, parent=parent.label, kind=options.kind, options=options.lineage)
        try:
            record, child, fresh = self._made(label, folder, options, parent.model)
            record, figures = self._measured(label, folder, record, child, parent.model)
        except ModelError as error:
            return row.model_copy(update={"state": "failed", "reason": str(error)}), None
        metric = NAMES[self._recipe.measure.metric]
        gate = self._recipe.gate.of_step(options.gate, keeps_speed=options.keeps_speed)
        refusal = gate.refusal(figures, metric)
        child = folder.judged(child, is_accepted=refusal is None)
        update = {
            "path": str(child.root.relative_to(self._home)),
            "version": child.artifact.version,
            "state": "accepted" if refusal is None else "rejected",
            "reason": refusal or "",
            "figures": figures,
            "facts": record.facts,
            "tables": record.tables,
            "wall_s": record.wall_s,
            "fresh": fresh,
        }
        return row.model_copy(update=update), child if refusal is None else None

    def _made(
        self, label: str, folder: StepFolder, options: StepOptions, parent: Model
    ) -> tuple[Record, Model, bool]:
        """Return a step's record and child, and whether the step was executed now."""
        kind = STEPS.for_config(options)
        key = self._keys.of_step(options, kind, parent)
        record = Record.read(folder.record)
        if record is not None and record.key == key and (child := folder.found(record.version)) is not None:
            return record, child, False
        folder.scratch.mkdir(parents=True, exist_ok=True)
        work = Work(
            original=self._original,
            data=self._data,
            scratch=folder.scratch,
            key=key,
            progress=lambda what, done, total, note="": self._progress(f"{label}: {what}", done, total, note),
            seed=self._recipe.seed,
            threads=self._recipe.threads,
        )
        begun_s = time.monotonic()
        outcome = _run(kind, options, parent, folder.accepted, work)
        child = Model(folder.accepted, Artifact.load(folder.accepted))
        record = Record.of(key, child.artifact.version, outcome, time.monotonic() - begun_s)
        record.write(folder.record)
        folder.clear_scratch()
        return record, child, True

    def _measured(
        self, label: str, folder: StepFolder, record: Record, child: Model, parent: Model
    ) -> tuple[Record, Figures]:
        """Return a step's figures, and its record with them."""
        key = self._keys.of_measurement(child, parent)
        known = record.figures if record.measured == key else None
        if known is not None and known.fault is None:  # a fault may have passed, such as too little memory
            return record, known
        figures = self._meter.measure(
            child, parent, lambda done, total: self._progress(f"{label}: measuring", done, total)
        )
        record = record.model_copy(update={"measured": key, "figures": figures})
        record.write(folder.record)
        return record, figures

    def _original_row(self) -> Row:
        folder = StepFolder(self._out, ORIGINAL)
        version = self._original.artifact.version
        record = Record.read(folder.record) or Record(key=version, version=version, wall_s=0.0)
        _, figures = self._measured(ORIGINAL, folder, record, self._original, self._original)
        root = self._original.root
        path = root.relative_to(self._home) if root.is_relative_to(self._home) else root
        return Row(label=ORIGINAL, path=str(path), version=version, figures=figures, fresh=False)

    def _add(self, row: Row, each: Callable[[Row], None]) -> None:
        self._rows.append(row)
        each(row)
        total = sum(len(branch.steps) for branch in self._recipe.ordered())
        self._progress("steps", len(self._rows) - 1, total, row.label)


def _run(kind: AnyStepKind, options: StepOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Execute a step. Unexpected errors of another package's step become CompressionError."""
    try:
        return kind.run(options, parent, root, work)
    except PLUGIN_ERRORS as error:
        if isinstance(error, ModelError | OSError) or options.kind in STEPS.builtins:
            raise
        raise CompressionError(
            f"{options.kind}: failed: {type(error).__name__}: {error}; correct its options, or fix its package"
        ) from error
