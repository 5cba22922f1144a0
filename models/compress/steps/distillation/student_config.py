"""Options of a student: its architecture and its size."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field

from models.architectures.options import HyperSize, PooledSize, Size


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


class ListwiseStudent(Student, Size):
    """A listwise reranker. It reads the ranker's scores, as its parent does."""

    architecture: Literal["listwise"]
    width: int = Field(default=32, ge=8, le=8192)
    heads: int = Field(default=2, ge=1, le=128)
    layers: int = Field(default=1, ge=1, le=128)
    hidden: int = Field(default=64, ge=8, le=32_768)


class DlrmStudent(BaseModel):
    """A DLRM that reads the parent's features, with narrower tables and smaller networks.

    Attributes:
        width: embedding width.
        bottom: hidden widths of the network over the dense features.
        top: hidden widths of the network over the dot products.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["dlrm"]
    width: int = Field(default=16, ge=1, le=1024)
    bottom: tuple[Annotated[int, Field(ge=1, le=32_768)], ...] = (64,)
    top: tuple[Annotated[int, Field(ge=1, le=32_768)], ...] = (64, 32)


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


_STUDENTS = (
    PooledStudent
    | HyperStudent
    | HistoryStudent
    | ListwiseStudent
    | DlrmStudent
    | TreesStudent
    | ShallowStudent
)


def _with_architecture(student: Any) -> Any:
    if isinstance(student, dict) and "architecture" not in student:
        names = [get_args(each.model_fields["architecture"].annotation)[0] for each in get_args(_STUDENTS)]
        raise ValueError(
            f"architecture: missing, got only {', '.join(map(str, student)) or 'nothing'}; name one of "
            f"{', '.join(names)}"
        )
    return student


StudentConfig = Annotated[
    Annotated[_STUDENTS, Discriminator("architecture")], BeforeValidator(_with_architecture)
]
