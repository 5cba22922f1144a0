"""Options of the step ``distil``: the student, the teacher and the training."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field

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


StudentConfig = Annotated[
    PooledStudent | HyperStudent | HistoryStudent | TreesStudent | ShallowStudent,
    Discriminator("architecture"),
]


class DistilOptions(StepOptions):
    """Options of the step.

    Attributes:
        student: the student's architecture and size.
        teacher: the model whose scores are learned: the model that the recipe compresses, or this step's parent.
        temperature: divides both models' scores before the softmax over a list.
        label_weight: the labels' weight in the loss. The rest is the weight of the teacher's scores.
        fit: options of the training, without ``loss``. If it is given, options that it leaves out have the defaults of
            ``FitConfig``. Trees read only ``max_lists``.
    """

    kind: Literal["distil"] = "distil"
    student: StudentConfig = PooledStudent()
    teacher: Literal["original", "parent"] = "original"
    temperature: float = Field(default=2.0, gt=0, le=100)
    label_weight: float = Field(default=0.3, ge=0, le=1)
    fit: FitConfig = FitConfig(max_lists=80_000, epochs=2, lists_per_step=64, learning_rate=5e-3)

    @property
    def uses(self) -> Uses:
        """The code and the packages that may change the result."""
        own = Uses.of(code=("compress/steps/distillation", "compress/steps/pruning/whole_layers.py"))
        trees = Uses.of(code=("importing",), packages=("lightgbm", "onnx"))
        return own | SCORES | (trees if isinstance(self.student, TreesStudent) else MODULES)
