"""The step ``prune``: removes heads, hidden units and layers, and sets single weights to zero."""

from pathlib import Path

from models.compress.steps.base import Model, Outcome, StepKind, Work
from models.compress.steps.pruning.options import PruneOptions


def run(options: PruneOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Write the child at ``root``. See ``step.prune``."""
    from models.compress.steps.pruning.step import prune  # imported here, because it loads torch

    return prune(options, parent, root, work)


STEP = StepKind(config=PruneOptions, run=run)
