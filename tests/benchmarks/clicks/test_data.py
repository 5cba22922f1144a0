"""Clicks as the data of a compression recipe."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.clicks import data
from benchmarks.clicks.case import Case
from benchmarks.clicks.data import ClicksData, lists_of
from models.artifact import Artifact
from models.errors import CompressionError
from models.signature import Inputs
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.shapes import make_dlrm

CASE = Case(rows=300, held_out=230)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    written = write_model(tmp_path / "a", make_dlrm(dense_per_request=False))
    return written.model_copy(update={"lineage": CASE.lineage()})


def requests(clicks: ClicksData, artifact: Artifact, candidates: int, count: int) -> list[Inputs]:
    return [calls[0] for calls in clicks.requests(artifact.signature, candidates, count)]


def test_requests_are_all_held_out_rows_once(artifact: Artifact) -> None:
    made = requests(ClicksData(artifact), artifact, candidates=23, count=2)
    assert len(made) == 10
    assert all(each["sparse"].shape == (23, 3) for each in made)
    assert len(np.unique(np.concatenate([each["dense"] for each in made]), axis=0)) == 230


def test_there_are_as_many_requests_as_asked_for_even_if_rows_repeat(artifact: Artifact) -> None:
    made = requests(ClicksData(artifact), artifact, candidates=200, count=3)
    assert [len(each["dense"]) for each in made] == [200] * 3


def test_even_requests_differ_in_their_table_rows_only(artifact: Artifact) -> None:
    like_clicks, even = (
        requests(ClicksData(artifact, evenly=evenly), artifact, 230, 1)[0] for evenly in (False, True)
    )
    np.testing.assert_array_equal(like_clicks["dense"], even["dense"])
    assert (like_clicks["sparse"] != even["sparse"]).any()
    assert even["sparse"].max() < artifact.architecture["rows"]


def test_labels_are_in_groups_and_the_last_one_is_shorter() -> None:
    labels = np.zeros(230, np.float32)
    np.testing.assert_array_equal(lists_of(labels).offsets, [0, 100, 200, 230])


def test_key_depends_on_the_rows(artifact: Artifact) -> None:
    other = artifact.model_copy(update={"lineage": Case(rows=301, held_out=230).lineage()})
    assert ClicksData(artifact).key != ClicksData(other).key


def test_key_depends_on_the_code_that_draws_the_rows(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ClicksData(artifact).key
    shutil.copytree(data._CODE, tmp_path / "clicks", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(data, "_CODE", tmp_path / "clicks")
    assert ClicksData(artifact).key == before
    with (tmp_path / "clicks/teacher.py").open("a", encoding="utf-8") as file:
        file.write("\nMORE = 1\n")
    assert ClicksData(artifact).key != before


def test_steps_that_need_lists_are_refused_with_the_modes_that_do_not(artifact: Artifact) -> None:
    with pytest.raises(CompressionError, match="mode dynamic or embeddings"):
        ClicksData(artifact).lists("train", artifact.signature)
