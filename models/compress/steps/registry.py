"""The registry of steps, and their options in YAML."""

from typing import Annotated

from autoscale.registries.options import ByKind
from autoscale.registries.registry import Registry
from models.compress.steps.base import AnyStepKind, StepKind, StepOptions

STEPS: Registry[AnyStepKind] = Registry(
    "step",
    {
        "quantize": "models.compress.steps.quantization:STEP",
        "prune": "models.compress.steps.pruning:STEP",
        "low_rank": "models.compress.steps.factorization:STEP",
        "distil": "models.compress.steps.distillation:STEP",
        "tune": "models.compress.steps.tuning:STEP",
    },
    entry=StepKind,
    options=StepOptions,
    group="rankway.compressions",
    extra="train",
)
StepConfig = Annotated[StepOptions, ByKind(STEPS)]
