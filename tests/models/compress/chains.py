"""Chains for tests: their models are not timed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.compress.chain import Chain
from models.compress.data.pipeline import PipelineData
from models.compress.measuring.measure import Meter
from models.compress.measuring.rounds import Times
from models.compress.measuring.worker import Memory
from models.compress.recipe import MeasureConfig, Recipe
from models.compress.rows import Result
from models.compress.steps.base import Model
from models.datasets.files.progress import silent
from models.training.loop import Progress
from tests.models.compress.homes import data_in, model_in, recipe_document


class QuickMeter(Meter):
    """Measures qualities only. Every model is as fast as the others."""

    def __init__(self, data: PipelineData, original: Model) -> None:
        super().__init__(MeasureConfig(candidates=(20,)), data, original)

    def _times(self, models: Mapping[str, Model], _: object) -> dict[str, Times]:
        return dict.fromkeys(models, Times({20: [[1.0]]}, {20: 1}, Memory(2.0, 1.0)))


def chain_of(
    home: Path,
    progress: Progress = silent,
    *,
    meter: Callable[[PipelineData, Model], Meter] = QuickMeter,
    **fields: Any,
) -> Chain:
    """Return a chain for a recipe whose document has these fields. ``meter`` makes the meter of its models."""
    recipe = Recipe.model_validate(recipe_document(**fields))
    data, original = data_in(home, max_report_lists=recipe.measure.max_lists), model_in(home)
    return Chain(recipe, home, original, data, meter(data, original), progress)


def run(home: Path, **fields: Any) -> Result:
    """Run the chain of ``chain_of``."""
    return chain_of(home, **fields).run()


def executed(log: Path) -> list[str]:
    """Return a line for each execution of the step: its scale, and whether it continued."""
    return log.read_text().splitlines() if log.exists() else []


def states(result: Result) -> list[tuple[str, str, str]]:
    """Return the label, the parent and the state of each step."""
    return [(row.label, row.parent, row.state) for row in result.steps]
