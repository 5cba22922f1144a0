"""The step: students learn from their teacher, are served by ONNX Runtime, and survive a kill."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.architectures.history_ranker import HistoryRanker
from models.artifact import Artifact
from models.compress.steps.base import Model
from models.compress.steps.distillation import STEP
from models.compress.steps.distillation.options import DistilOptions
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from tests.models.compress.steps.distillation.data import Killed, SmallData, make_model, make_work
from tests.models.worlds import RANKER, make_ranker

FIT = {"epochs": 2, "lists_per_step": 32, "learning_rate": 0.01, "checkpoint_every_s": 0}
POOLED: dict[str, Any] = {"architecture": "pooled_ranker", "width": 8, "hidden": 12}
HYPER: dict[str, Any] = {"architecture": "hyper_ranker", "pooled": 8, "width": 8, "hidden": 8}
HISTORY: dict[str, Any] = {
    "architecture": "history_ranker",
    "width": 8,
    "heads": 1,
    "layers": 1,
    "hidden": 8,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> SmallData:
    return SmallData.drawn(tmp_path_factory.mktemp("lists"), catalogue)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return make_model(tmp_path_factory.mktemp("models") / "ranker", make_ranker())


def options(student: dict[str, Any], **others: Any) -> DistilOptions:
    return DistilOptions.model_validate({"student": student, "fit": FIT, **others})


@pytest.mark.parametrize("student", [POOLED, HYPER, HISTORY])
def test_a_student_learns_and_is_served(
    student: dict[str, Any], tmp_path: Path, data: SmallData, original: Model
) -> None:
    outcome = STEP.run(options(student), original, tmp_path / "child", make_work(tmp_path, original, data))
    child = Artifact.load(tmp_path / "child")
    assert child.architecture["name"] == student["architecture"]
    assert child.architecture["width"] == 8
    assert outcome.facts["teacher"] == original.artifact.version
    assert outcome.facts["steps"] == 20
    assert child.lineage["compression"]["parent"] == original.artifact.version
    assert check_golden(
        tmp_path / "child", child, load_runtime(tmp_path / "child", child, runtime_config(kind="onnx"))
    )


def test_a_student_reads_fewer_features(tmp_path: Path, data: SmallData, original: Model) -> None:
    without = ["item.popularity", "context.rain_mm", "user.profile", "context.position"]
    fewer = options({**POOLED, "without": without}, fit={**FIT, "epochs": 1})
    STEP.run(fewer, original, tmp_path / "child", make_work(tmp_path, original, data))
    signature = Artifact.load(tmp_path / "child").signature
    removed = original.artifact.signature.columns - signature.columns
    assert removed == {*without, "item.start"}
    assert signature.feature_hash == original.artifact.signature.feature_hash


def test_a_killed_step_continues_to_the_same_student(
    tmp_path: Path, data: SmallData, original: Model
) -> None:
    whole = tmp_path / "whole"
    STEP.run(options(POOLED), original, whole, make_work(tmp_path / "1", original, data))
    for kill_at in (12, None):
        work = make_work(tmp_path / "2", original, data, kill_at=kill_at)
        try:
            STEP.run(options(POOLED), original, tmp_path / "killed", work)
        except Killed:
            assert not (tmp_path / "killed").exists()
    assert Artifact.load(tmp_path / "killed").version == Artifact.load(whole).version


def test_the_parent_may_be_the_teacher(tmp_path: Path, data: SmallData, original: Model) -> None:
    torch.manual_seed(5)
    parent = make_model(tmp_path / "parent", HistoryRanker(RANKER.model_copy(update={"layers": 1})))
    once = {**FIT, "epochs": 1}
    for teacher, expected in (("parent", parent), ("original", original)):
        facts = STEP.run(
            options(POOLED, teacher=teacher, fit=once),
            parent,
            tmp_path / teacher,
            make_work(tmp_path / f"{teacher}-work", original, data),
        ).facts
        assert facts["teacher"] == expected.artifact.version
    versions = {Artifact.load(tmp_path / teacher).version for teacher in ("parent", "original")}
    assert len(versions) == 2


def test_a_parent_without_an_architecture_is_refused(
    tmp_path: Path, data: SmallData, original: Model
) -> None:
    graph = Model(original.root, original.artifact.model_copy(update={"architecture": {}}))
    with pytest.raises(TrainingError, match=r"student: the parent must be a ranker .* architecture none"):
        STEP.run(options(POOLED), graph, tmp_path / "child", make_work(tmp_path, original, data))


def test_options_of_the_training_that_are_left_out_keep_the_defaults_of_the_step() -> None:
    assert DistilOptions().student.architecture == "pooled_ranker"
    fit = DistilOptions.model_validate({"fit": {"epochs": 4}}).fit
    assert (fit.epochs, fit.max_lists, fit.lists_per_step, fit.learning_rate) == (4, 80_000, 64, 5e-3)
    assert fit.loss == "softmax"


@pytest.mark.parametrize(
    ("student", "fit", "expected"),
    [
        ({"width": 48}, {}, "architecture: missing, got only width; name one of pooled_ranker, hyper_ranker"),
        (
            POOLED,
            {"loss": "bce"},
            "must not be set, because a student learns from its teacher's scores, got 'bce'",
        ),
        ({"architecture": "trees"}, {"epochs": 4}, "fit.epochs: must not be set for trees"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    student: dict[str, Any], fit: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        DistilOptions.model_validate({"student": student, "fit": fit})
    trees = DistilOptions.model_validate({"student": {"architecture": "trees"}, "fit": {"max_lists": 5}})
    assert trees.fit.max_lists == 5
