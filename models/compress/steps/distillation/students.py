"""The architecture options of a student, from its own options and its parent's architecture."""

from collections.abc import Mapping
from typing import Any

from models.architectures.options import HistoryRankerOptions, HyperRankerOptions, PooledRankerOptions
from models.compress.steps.distillation.options import HistoryStudent, HyperStudent, PooledStudent
from models.training.narrowing import narrowed, reads_of


def pooled_student(student: PooledStudent, parent: Mapping[str, Any]) -> PooledRankerOptions:
    """Return the options of a pooled ranker.

    Args:
        student: the student's options.
        parent: the parent's architecture.

    Raises:
        TrainingError: the parent is no ranker, or does not read a feature that is left out.
    """
    return PooledRankerOptions(**_fields(student, parent))


def hyper_student(student: HyperStudent, parent: Mapping[str, Any]) -> HyperRankerOptions:
    """Return the options of a hyper ranker.

    Args:
        student: the student's options.
        parent: the parent's architecture.

    Raises:
        TrainingError: the parent is no ranker, or does not read a feature that is left out.
    """
    return HyperRankerOptions(**_fields(student, parent))


def history_student(student: HistoryStudent, parent: Mapping[str, Any]) -> HistoryRankerOptions:
    """Return the options of a history ranker.

    Args:
        student: the student's options.
        parent: the parent's architecture.

    Raises:
        TrainingError: the parent is no ranker, or does not read a feature that is left out.
    """
    numbers = {name: parent[name] for name in ("number", "repeats") if name in parent}
    return HistoryRankerOptions(**_fields(student, parent), **numbers)


def _fields(
    student: PooledStudent | HyperStudent | HistoryStudent, parent: Mapping[str, Any]
) -> dict[str, Any]:
    reads = narrowed(reads_of(parent), student.without)
    return {**dict(reads), **student.model_dump(exclude={"architecture", "without"})}
