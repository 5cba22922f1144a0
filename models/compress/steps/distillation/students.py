"""The architecture options of a student, from its own options and its parent's architecture."""

from collections.abc import Mapping
from typing import Any

from models.architectures.options import (
    HistoryRankerOptions,
    HyperRankerOptions,
    PooledRankerOptions,
    RankerReads,
)
from models.compress.steps.distillation.options import HistoryStudent, HyperStudent, PooledStudent
from models.training.narrowing import narrowed, reads_of

RankerStudent = PooledStudent | HyperStudent | HistoryStudent
_ARCHITECTURES: Mapping[type[RankerStudent], type[RankerReads]] = {
    PooledStudent: PooledRankerOptions,
    HyperStudent: HyperRankerOptions,
    HistoryStudent: HistoryRankerOptions,
}


def student_options(student: RankerStudent, parent: Mapping[str, Any]) -> RankerReads:
    """Return the options of a student's architecture. A history student embeds the item numbers that its parent does.

    Args:
        student: the student's options.
        parent: the parent's architecture.

    Raises:
        TrainingError: the parent is no ranker, or does not read a feature that is left out.
    """
    fields = dict(narrowed(reads_of(parent), student.without))
    fields |= student.model_dump(exclude={"architecture", "without"})
    if isinstance(student, HistoryStudent):
        fields |= {name: parent[name] for name in ("number", "repeats") if name in parent}
    return _ARCHITECTURES[type(student)](**fields)
