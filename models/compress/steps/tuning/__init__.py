"""The step ``tune``: fine-tunes a model, as other steps do at their end."""

from pathlib import Path

from models.compress.steps.base import Model, Outcome, StepKind, Work
from models.compress.steps.tuning.options import TuneOptions


def run(options: TuneOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Write the child at ``root``. See ``step.tuned``."""
    from models.compress.steps.tuning.step import tuned  # imported here, because it loads torch

    return tuned(options, parent, root, work)


STEP = StepKind(config=TuneOptions, run=run)
