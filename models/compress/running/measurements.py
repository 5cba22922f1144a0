"""The figures of models: those of an earlier run if they are still valid, else measured now."""

from collections.abc import Callable
from typing import Protocol

from models.compress.figures import Figures
from models.compress.running.keys import Keys
from models.compress.running.places import StepFolder
from models.compress.running.records import Record
from models.compress.steps.base import Model
from models.training.loop import Progress


class Measures(Protocol):
    """Measures models, as ``Meter`` does."""

    def measure(self, child: Model, parent: Model, progress: Callable[[int, int], None], /) -> Figures:
        """Return a child's figures, as ``Meter.measure`` does."""
        ...


class Measurements:
    """The figures of a recipe's models, which are stored in the records."""

    def __init__(self, meter: Measures, keys: Keys, progress: Progress) -> None:
        """Set the meter, the keys of figures, and the progress of measuring."""
        self._meter = meter
        self._keys = keys
        self._progress = progress

    def figures(self, label: str, folder: StepFolder, record: Record, child: Model, parent: Model) -> Figures:
        """Return a child's figures. Write new ones into the step's record.

        Raises:
            ModelError: the original or the parent cannot be measured.
            OSError: the record cannot be written.
        """
        key = self._keys.of_measurement(child, parent)
        known = record.figures if record.measured == key else None
        if known is not None and known.fault is None:  # a fault may have passed, such as too little memory
            return known
        figures = self._meter.measure(
            child, parent, lambda done, total: self._progress(f"{label}: measuring", done, total)
        )
        record.model_copy(update={"measured": key, "figures": figures}).write(folder.record)
        return figures
