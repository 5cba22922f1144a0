"""The options of the step ``tune``, and the option ``tune`` of other steps."""

from typing import Literal

from pydantic import Field

from models.compress.steps.base import StepOptions
from models.compress.steps.uses import MODULES, SCORES, Uses
from models.training.fit_config import FitConfig


class TuneConfig(FitConfig):
    """How a compressed model is fine-tuned. The defaults are those of a short training with a small learning rate.

    Attributes:
        learn_from: ``labels``, or ``original`` for the labels and the scores of the model that the recipe compresses.
            A model that reads a ranker's scores can learn from labels only.
        temperature: divides both models' scores before the softmax, if the model learns from the original.
        label_weight: weight of the labels' loss, if the model learns from the original.
    """

    max_lists: int | None = Field(default=40_000, ge=1)
    epochs: int = Field(default=1, ge=1, le=1000)
    lists_per_step: int = Field(default=48, ge=1, le=65_536)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    evaluations_per_epoch: int = Field(default=4, ge=1, le=100)
    patience: int = Field(default=4, ge=1)
    learn_from: Literal["labels", "original"] = "labels"
    temperature: float = Field(default=1.0, gt=0)
    label_weight: float = Field(default=0.3, ge=0, le=1)

    @property
    def uses(self) -> Uses:
        """The code and the packages of a tuning."""
        return MODULES | SCORES if self.learn_from == "original" else MODULES


class TuneOptions(TuneConfig, StepOptions):
    """Options of the step."""

    kind: Literal["tune"] = "tune"

    @property
    def keeps_speed(self) -> bool:
        """A tuning changes the weights only."""
        return True
