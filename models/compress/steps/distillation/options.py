"""Options of the step ``distil``: the student, the teacher and the training."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    field_validator,
    model_validator,
)

from models.architectures.options import HyperSize, PooledSize, Size
from models.compress.steps.base import StepOptions
from models.compress.steps.uses import MODULES, SCORES, Uses
from models.training.fit_config import FitConfig


class Student(BaseModel):
    """Options of every student.

    Attributes:
        without: features of the parent that the student does not read, such as "item.embedding" or "context.hour".
            They need not be fetched for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    without: tuple[str, ...] = ()


class PooledStudent(Student, PooledSize):
    """A pooled ranker."""

    architecture: Literal["pooled_ranker"] = "pooled_ranker"


class HyperStudent(Student, HyperSize):
    """A hyper ranker, the fastest one."""

    architecture: Literal["hyper_ranker"]


class HistoryStudent(Student, Size):
    """A history ranker. It embeds the parent's item numbers, if the parent does.

    Attributes:
        dropout: dropout rate for embeddings and residual updates.
    """

    architecture: Literal["history_ranker"]
    width: int = Field(default=32, ge=8, le=8192)
    heads: int = Field(default=2, ge=1, le=128)
    layers: int = Field(default=1, ge=1, le=128)
    hidden: int = Field(default=64, ge=8, le=32_768)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class TreesStudent(Student):
    """Gradient-boosted trees, in ONNX. They read the parent's features of fixed shape, so not the history.

    Attributes:
        trees: maximum number of trees.
        leaves: maximum leaves of a tree.
        min_rows: minimum training rows in a leaf.
        learning_rate: the weight of each tree.
        patience: trees without a better NDCG@10 on the selection lists before the training stops.
    """

    architecture: Literal["trees"]
    trees: int = Field(default=200, ge=1, le=10_000)
    leaves: int = Field(default=31, ge=2, le=4096)
    min_rows: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    patience: int = Field(default=40, ge=1)


class ShallowStudent(BaseModel):
    """The parent's own architecture with fewer layers. The student begins with the weights of evenly spaced layers.

    Attributes:
        layers: layers of the student.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["parent"]
    layers: int = Field(ge=1, le=128)


_STUDENTS = PooledStudent | HyperStudent | HistoryStudent | TreesStudent | ShallowStudent
_NAMES = "pooled_ranker, hyper_ranker, history_ranker, trees, parent"


def _with_architecture(student: Any) -> Any:
    if isinstance(student, dict) and "architecture" not in student:
        raise ValueError(
            f"architecture: missing, got only {', '.join(map(str, student)) or 'nothing'}; name one of {_NAMES}"
        )
    return student


StudentConfig = Annotated[
    Annotated[_STUDENTS, Discriminator("architecture")], BeforeValidator(_with_architecture)
]


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
