"""The architecture options of a student, from its own options and its parent's architecture."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from models.architectures.options import (
    DlrmOptions,
    HistoryRankerOptions,
    HyperRankerOptions,
    ListwiseOptions,
    PooledRankerOptions,
    RankerReads,
)
from models.compress.steps.distillation.student_config import (
    DlrmStudent,
    HistoryStudent,
    HyperStudent,
    ListwiseStudent,
    PooledStudent,
)
from models.errors import TrainingError
from models.training.narrowing import narrowed, reads_of

RankerStudent = PooledStudent | HyperStudent | HistoryStudent | ListwiseStudent
_ARCHITECTURES: Mapping[type[RankerStudent], type[RankerReads]] = {
    PooledStudent: PooledRankerOptions,
    HyperStudent: HyperRankerOptions,
    HistoryStudent: HistoryRankerOptions,
    ListwiseStudent: ListwiseOptions,
}
_DLRM_READS = ("dense", "fields", "rows", "dense_per_request")


def student_options(student: RankerStudent | DlrmStudent, parent: Mapping[str, Any]) -> BaseModel:
    """Return the options of a student's architecture. A history student embeds the item numbers that its parent does.

    Args:
        student: the student's options.
        parent: the parent's architecture.

    Raises:
        TrainingError: the student cannot read the features of this parent, or the parent does not read a feature that
            is left out.
    """
    if isinstance(student, DlrmStudent):
        _require_parent(student.architecture, parent, "a DLRM reads sparse row numbers")
        own = student.model_dump(exclude={"architecture"})
        return DlrmOptions(**{name: parent[name] for name in _DLRM_READS}, **own)
    if isinstance(student, ListwiseStudent):
        _require_parent(student.architecture, parent, "a reranker reads candidate.score")
    fields = dict(narrowed(reads_of(parent), student.without))
    fields |= student.model_dump(exclude={"architecture", "without"})
    if isinstance(student, HistoryStudent):
        fields |= {name: parent[name] for name in ("number", "repeats") if name in parent}
    return _ARCHITECTURES[type(student)](**fields)


def _require_parent(name: str, parent: Mapping[str, Any], reason: str) -> None:
    own = parent.get("name", "none")
    if own != name:
        raise TrainingError(
            f"student.architecture: {name} requires a parent with the architecture {name}, because {reason}, got a "
            f"parent with {own}; choose another student"
        )
