"""Students of rerankers and of DLRMs, and parents that a student does not fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.compress.steps.base import Model
from models.compress.steps.distillation import STEP
from models.compress.steps.distillation.options import DistilOptions
from models.compress.steps.distillation.student_config import DlrmStudent, ListwiseStudent
from models.compress.steps.distillation.students import student_options
from models.compress.steps.modules import loaded, parameters_of
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from tests.models.compress.homes import data_in, model_in
from tests.models.compress.works import RandomData, assert_serves, child_of, make_work

FIT = {"epochs": 1, "lists_per_step": 32}
LISTWISE: dict[str, Any] = {"architecture": "listwise", "width": 8, "heads": 1, "layers": 1, "hidden": 8}
POOLED: dict[str, Any] = {"architecture": "pooled_ranker", "width": 8, "hidden": 12}


@pytest.mark.parametrize(("student", "reads"), [(LISTWISE, True), (POOLED, False)])
def test_a_student_of_a_reranker_says_whether_it_reads_the_score(
    student: dict[str, Any], reads: bool, home: Path, tmp_path: Path
) -> None:
    parent = model_in(home, "reranker")
    without = {"without": ["item.popularity"]}
    options = DistilOptions.model_validate({"student": student | without, "fit": FIT})
    outcome = STEP.run(options, parent, tmp_path / "child", make_work(parent, tmp_path, data_in(home)))
    child = child_of(tmp_path / "child")
    assert child.artifact.architecture["name"] == student["architecture"]
    assert ("candidate.score" in child.artifact.signature.columns) == reads
    assert outcome.facts.get("not_read") == (None if reads else ["candidate.score"])
    runtime = load_runtime(child.root, child.artifact, runtime_config(kind="onnx"))
    assert check_golden(child.root, child.artifact, runtime)


@pytest.mark.parametrize("name", ["dlrm", "dlrm of requests"])
def test_a_dlrm_has_a_smaller_dlrm_as_its_student(
    name: str, tmp_path: Path, catalogue: Catalogue, parents: Callable[[str], Model]
) -> None:
    parent = parents(name)
    student = {"architecture": "dlrm", "width": 4, "bottom": [3], "top": [5, 4]}
    options = DistilOptions.model_validate({"student": student, "fit": FIT})
    outcome = STEP.run(
        options, parent, tmp_path / "child", make_work(parent, tmp_path, RandomData(catalogue))
    )
    child = child_of(tmp_path / "child")
    assert outcome.facts["steps"] == 3
    assert child.artifact.signature == parent.artifact.signature
    assert parameters_of(loaded(child, "test")) < parameters_of(loaded(parent, "test"))
    assert_serves(child)


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        (ListwiseStudent(architecture="listwise"), "listwise .* because a reranker reads candidate.score"),
        (DlrmStudent(architecture="dlrm"), "dlrm .* because a DLRM reads sparse row numbers"),
    ],
)
def test_a_student_that_cannot_read_its_parents_features_is_refused(
    student: ListwiseStudent | DlrmStudent, reason: str, parents: Callable[[str], Model]
) -> None:
    with pytest.raises(
        TrainingError, match=rf"student.architecture: {reason}, got a parent with history_ranker; choose"
    ):
        student_options(student, parents("history_ranker").artifact.architecture)
