"""The splits of a case share no row, and an artifact tells its case."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.clicks.case import Case
from models.architectures.options import DlrmOptions
from models.artifact import Artifact
from models.errors import ArtifactError
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.shapes import make_dlrm

CASE = Case(rows=300, held_out=200, seed=5)
OPTIONS = DlrmOptions(dense=2, fields=3, rows=50, width=4)


def test_splits_have_their_sizes_and_share_no_row() -> None:
    teacher = CASE.teacher(OPTIONS)
    dense = [CASE.draw(teacher, split).dense for split in ("train", "select", "report")]
    assert [len(each) for each in dense] == [300, 100, 200]
    assert len(np.unique(np.concatenate(dense), axis=0)) == 600


def test_chunks_are_the_split_s_rows() -> None:
    teacher = CASE.teacher(OPTIONS)
    chunks = [chunk.sparse for chunk in CASE.chunks(teacher, "report")]
    np.testing.assert_array_equal(np.concatenate(chunks), CASE.draw(teacher, "report").sparse)


def test_lineage_tells_the_case(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "a", make_dlrm(dense_per_request=False))
    assert Case.of(artifact.model_copy(update={"lineage": CASE.lineage()})) == CASE


def test_artifacts_of_other_models_are_refused(tmp_path: Path) -> None:
    artifact: Artifact = write_model(tmp_path / "a", make_dlrm(dense_per_request=False))
    with pytest.raises(ArtifactError, match=r"train it with python -m benchmarks\.dlrm_clicks"):
        Case.of(artifact)
