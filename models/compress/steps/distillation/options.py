"""Options of the step ``distil``: the student, the teacher and the training."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from models.compress.steps.base import StepOptions
from models.compress.steps.distillation.student_config import PooledStudent, StudentConfig, TreesStudent
from models.compress.steps.uses import MODULES, SCORES, Uses
from models.training.fit_config import FitConfig


class DistilFit(FitConfig):
    """Options of a student's training. Options that a recipe leaves out have these defaults.

    ``loss`` is refused: a student learns from its teacher's scores with a loss of its own.
    """

    max_lists: int | None = Field(default=80_000, ge=1)
    epochs: int = Field(default=2, ge=1, le=1000)
    lists_per_step: int = Field(default=64, ge=1, le=65_536)
    learning_rate: float = Field(default=5e-3, gt=0, le=1)

    @field_validator("loss")
    @classmethod
    def _has_a_loss_of_its_own(cls, loss: str) -> str:
        raise ValueError(
            f"must not be set, because a student learns from its teacher's scores, got {loss!r}; remove it, or set "
            f"label_weight"
        )


class DistilOptions(StepOptions):
    """Options of the step.

    Attributes:
        student: the student's architecture and size.
        teacher: the model whose scores are learned: the model that the recipe compresses, or this step's parent.
        temperature: divides both models' scores before the softmax over a list.
        label_weight: the labels' weight in the loss. The rest is the weight of the teacher's scores.
        fit: options of the training. Trees read only ``max_lists``, and refuse the others.
    """

    kind: Literal["distil"] = "distil"
    student: StudentConfig = PooledStudent()
    teacher: Literal["original", "parent"] = "original"
    temperature: float = Field(default=2.0, gt=0, le=100)
    label_weight: float = Field(default=0.3, ge=0, le=1)
    fit: DistilFit = DistilFit()

    @model_validator(mode="after")
    def _trees_have_options_of_their_own(self) -> Self:
        unread = sorted(self.fit.model_fields_set - {"max_lists"})
        if isinstance(self.student, TreesStudent) and unread:
            raise ValueError(
                f"fit.{unread[0]}: must not be set for trees, which read only fit.max_lists, got "
                f"{getattr(self.fit, unread[0])!r}; remove it, or use the options of the student"
            )
        return self

    @property
    def uses(self) -> Uses:
        """The code and the packages that may change the result."""
        own = Uses.of(code=("compress/steps/distillation", "compress/steps/pruning/whole_layers.py"))
        trees = Uses.of(code=("importing",), packages=("lightgbm", "onnx"))
        return own | SCORES | (trees if isinstance(self.student, TreesStudent) else MODULES)
