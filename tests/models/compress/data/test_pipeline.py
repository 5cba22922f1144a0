"""A pipeline's lists: splits, scores of the ranker and of a teacher, requests, and the key."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.assembly import InputAssembler
from models.compress.data.pipeline import PipelineData
from models.compress.data.runtime_scores import scores_alone
from models.compress.steps.base import Split
from models.errors import ArtifactError, CompressionError
from models.importing.lightgbm import load
from models.ragged import RaggedArray, RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from tests.models.compress.homes import data_in, model_in, write_home, write_small
from tests.models.compress.steps.quantization.parents import quantise
from tests.models.runtimes.trees.models import artifact_of, lightgbm_text
from tests.models.worlds import make_catalogue, make_impressions, make_ranker


def times_of(batch: RaggedBatch) -> list[float]:
    """Return a number that identifies each request."""
    column = batch.requests["context.hour"]
    assert not isinstance(column, RaggedArray)
    return [float(value) for value in column]


def test_select_and_report_are_the_halves_of_the_validation_lists(home: Path) -> None:
    data, signature = data_in(home), model_in(home).artifact.signature
    parts: list[Split] = ["train", "select", "report"]
    train, select, report = (data.lists(part, signature) for part in parts)
    assert (len(train), len(select), len(report)) == (60, 21, 20)
    assert not set(times_of(select.batch)) & set(times_of(report.batch))
    assert (data.labels().labels == report.labels).all()


def test_users_of_the_report_lists_are_known_if_the_data_have_them(home: Path) -> None:
    assert data_in(home).labels().users is None
    np.save(home / "impressions" / "valid" / "user.npy", np.arange(41) // 2)
    labels = data_in(home).labels()
    assert labels.users is not None
    assert labels.users.tolist() == [(21 + index) // 2 for index in range(20)]
    assert labels.user_count == 11
    assert data_in(home, max_valid_lists=10).labels().user_count == 5
    np.save(home / "impressions" / "valid" / "user.npy", np.arange(7))
    assert data_in(home).labels().users is None


def test_limit_spaces_lists_evenly(home: Path) -> None:
    data, signature = data_in(home), model_in(home).artifact.signature
    every = times_of(data.lists("select", signature).batch)
    assert times_of(data.lists("select", signature, 3).batch) == [every[0], every[10], every[20]]
    assert len(data.lists("train", signature, 7)) == 7


def test_reranker_reads_scores_of_the_ranker(home: Path) -> None:
    data, reranker, ranker = data_in(home), model_in(home, "reranker"), model_in(home)
    lists = data.lists("report", reranker.artifact.signature)
    assert (lists.batch.candidates["score"] == data.scores(ranker)).all()
    assert "score" not in data.lists("report", ranker.artifact.signature).batch.candidates
    assert np.isfinite(data.scores(reranker)).all()


def test_key_changes_with_the_ranker_whose_scores_rerankers_read(tmp_path: Path) -> None:
    home = write_home(tmp_path)
    before = data_in(home).key
    assert data_in(home).key == before
    write_small(home / "models" / "ranker", make_ranker(seed=5), data_in(home).catalogue)
    assert data_in(home).key != before


def test_teacher_needs_lists_that_stay_the_same(home: Path) -> None:
    data, teacher = data_in(home, over_catalogue={}, reranker=None, distilled=None), model_in(home)
    with pytest.raises(CompressionError, match="over_catalogue: its negatives are drawn at each step"):
        data.taught(teacher, "train", teacher.artifact.signature)


def test_student_of_a_reranker_learns_from_the_reranker(home: Path) -> None:
    data, reranker = data_in(home), model_in(home, "reranker")
    lists = data.taught(reranker, "report", reranker.artifact.signature)
    assert (lists.teacher == data.scores(reranker)).all()
    assert (lists.batch.candidates["score"] == data.scores(model_in(home))).all()


def test_teacher_with_scores_that_are_no_numbers_is_refused(home: Path) -> None:
    data, broken = data_in(home), make_ranker()
    torch.nn.init.constant_(list(broken.parameters())[-1], float("nan"))
    write_small(home / "models" / "broken", broken, data.catalogue)
    teacher = model_in(home, "broken")
    with pytest.raises(
        CompressionError, match=rf"teacher small {teacher.artifact.version}: .*, got NaN .* for (\d+) of \1 "
    ):
        data.taught(teacher, "train", teacher.artifact.signature)


def test_teacher_scores_are_those_of_the_runtime_in_serving(home: Path) -> None:
    data, teacher = data_in(home), model_in(home)
    lists = data.taught(teacher, "select", model_in(home, "distilled").artifact.signature)
    one = lists.batch.take(np.array([4]))
    runtime = load_runtime(teacher.root, teacher.artifact, runtime_config(kind="onnx"))
    assembler = InputAssembler(teacher.artifact.signature, data.catalogue)
    expected = assembler.flatten(runtime.run(assembler(one)), one)["score"]
    assert one.candidates["score"] == pytest.approx(expected, abs=1e-5)
    step = lists.step(np.array([4]))
    assert step.teacher is not None
    assert step.teacher.numpy()[0] == pytest.approx(expected, abs=1e-5)


def test_trees_that_return_a_column_are_scored(home: Path) -> None:
    artifact_of(load(lightgbm_text(home / "trees.txt")), home / "models" / "trees")
    scores = data_in(home).scores(model_in(home, "trees"))
    assert scores.shape == data_in(home).labels().labels.shape
    assert len(np.unique(scores)) > 10


def test_lists_are_scored_alone_if_a_score_depends_on_the_others_in_the_call(home: Path) -> None:
    data, ranker = data_in(home), model_in(home)
    child, _ = quantise(ranker, home / "models" / "int8", data.catalogue)
    assert (scores_alone(ranker), scores_alone(child)) == (False, True)
    scores, lists = data.scores(child), data.lists("report", child.artifact.signature)
    runtime = load_runtime(child.root, child.artifact, runtime_config(kind="onnx"))
    assembler = InputAssembler(child.artifact.signature, data.catalogue)
    for number in range(3):
        one = lists.batch.take(np.array([number]))
        alone = assembler.flatten(runtime.run(assembler(one)), one)["score"]
        first, last = lists.batch.offsets[number : number + 2]
        assert (scores[first:last] == alone).all()


def test_student_of_a_reranker_reads_the_ranker_and_learns_from_the_reranker(home: Path) -> None:
    data, teacher = data_in(home), model_in(home, "reranker")
    lists = data.taught(teacher, "report", teacher.artifact.signature)
    assert (lists.batch.candidates["score"] == data.scores(model_in(home))).all()
    step = lists.step(np.array([0]))
    assert step.teacher is not None
    first = slice(0, int(lists.batch.lengths[0]))
    assert step.teacher.numpy()[0] == pytest.approx(data.scores(teacher)[first])


def test_requests_are_the_same_for_every_signature(home: Path) -> None:
    data = data_in(home)
    read = []
    for name in ("ranker", "distilled"):
        signature = model_in(home, name).artifact.signature
        popularity = next(spec.name for spec in signature.inputs if spec.source == "item.popularity")
        read.append([calls[0][popularity].ravel() for calls in data.requests(signature, 30, 2)])
    (one, other), again = read
    assert one.shape == (30,)
    assert (one == again[0]).all()
    assert (one != other).any()


def test_scores_are_stored_and_damaged_ones_computed_again(home: Path) -> None:
    first = data_in(home).scores(model_in(home))
    (stored,) = (home / "scores").iterdir()
    stored.write_bytes(stored.read_bytes()[:-4])
    assert (data_in(home).scores(model_in(home)) == first).all()


def test_key_depends_on_data_and_choice_of_lists(home: Path) -> None:
    key = data_in(home).key
    assert data_in(home).key == key
    assert data_in(home, max_train_lists=50).key != key
    make_impressions(home / "impressions" / "train", make_catalogue(home / "other"), 60, 5)
    assert data_in(home).key != key


def test_missing_lists_name_the_remedy(home: Path) -> None:
    data: PipelineData = data_in(home, data="impressions")
    (home / "impressions" / "valid" / "impressions.json").unlink()
    with pytest.raises(ArtifactError, match="build the data set first"):
        data.labels()
