"""The step ``tune``."""

from pathlib import Path

from models.compress.steps.base import Model, Outcome, Work
from models.compress.steps.child import golden_inputs, write_module
from models.compress.steps.modules import loaded
from models.compress.steps.tuning.fitting import tune
from models.compress.steps.tuning.options import TuneOptions


def tuned(options: TuneOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Write the tuned child at ``root``.

    Raises:
        TrainingError: the parent cannot be trained, or not on these lists.
    """
    module = loaded(parent, "tune")
    facts = {"tuning": tune(module, options, work, parent.artifact.signature)}
    write_module(module, root, parent, options, golden_inputs(parent), facts)
    return Outcome(facts)
