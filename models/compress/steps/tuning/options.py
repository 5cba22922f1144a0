"""The options of the step ``tune``, and the option ``tune`` of other steps."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from models.compress.steps.base import StepOptions
from models.compress.steps.uses import MODULES, SCORES, Uses
from models.training.fit_config import FitConfig

Source = Literal["labels", "original"]
_READ_BY: Mapping[str, Source] = {"temperature": "original", "label_weight": "original", "loss": "labels"}
"""The options that are read with one value of ``learn_from`` only."""


class TuneConfig(FitConfig):
    """How a compressed model is fine-tuned. The defaults are those of a short training with a small learning rate.

    Attributes:
        learn_from: ``labels``, or ``original`` for the labels and the scores of the model that the recipe compresses.
        temperature: divides both models' scores before the softmax. Refused if the model learns from labels only.
        label_weight: weight of the labels' loss. Refused if the model learns from labels only.
    """

    max_lists: int | None = Field(default=40_000, ge=1)
    epochs: int = Field(default=1, ge=1, le=1000)
    lists_per_step: int = Field(default=48, ge=1, le=65_536)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    evaluations_per_epoch: int = Field(default=4, ge=1, le=100)
    patience: int = Field(default=4, ge=1)
    learn_from: Source = "labels"
    temperature: float = Field(default=1.0, gt=0)
    label_weight: float = Field(default=0.3, ge=0, le=1)

    @property
    def uses(self) -> Uses:
        """The code and the packages of a tuning."""
        return MODULES | SCORES if self.learn_from == "original" else MODULES

    @model_validator(mode="after")
    def _the_source_reads_the_options(self) -> Self:
        for name, source in _READ_BY.items():
            if name in self.model_fields_set and source != self.learn_from:
                raise ValueError(
                    f"{name}: learn_from: {self.learn_from} does not read it, got {getattr(self, name)}; remove it, or "
                    f"set learn_from: {source}"
                )
        return self


class TuneOptions(TuneConfig, StepOptions):
    """Options of the step."""

    kind: Literal["tune"] = "tune"

    @property
    def keeps_speed(self) -> bool:
        """A tuning changes the weights only."""
        return True
