"""The step ``low_rank``: replaces linear layers by products of two smaller layers."""

from pathlib import Path

from models.compress.steps.base import Model, Outcome, StepKind, Work
from models.compress.steps.factorization.options import LowRankOptions


def run(options: LowRankOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Write the child at ``root``. See ``step.factorise``."""
    from models.compress.steps.factorization.step import factorise  # imported here, because it loads torch

    return factorise(options, parent, root, work)


STEP = StepKind(config=LowRankOptions, run=run)
