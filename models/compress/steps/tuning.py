"""``kind: tune``: fine-tuning as a step of its own."""

from pathlib import Path
from typing import Literal

from models.compress.steps.base import Model, Outcome, StepKind, StepOptions, Work
from models.compress.tune_config import TuneConfig


class TuneOptions(StepOptions, TuneConfig):
    """Training options, and what the model learns from."""

    kind: Literal["tune"] = "tune"


def run(options: TuneOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Write the tuned child at ``root``.

    Raises:
        TrainingError: the parent cannot be trained, or not on these lists.
    """
    from models.compress.modules import loaded
    from models.compress.steps.child import golden_inputs, write_module
    from models.compress.tuning import tune

    module = loaded(parent, "tune")
    facts = {"tuning": tune(module, options, work, parent.artifact.signature)}
    write_module(module, root, parent, options, golden_inputs(parent), facts)
    return Outcome(facts)


STEP = StepKind(config=TuneOptions, run=run)
