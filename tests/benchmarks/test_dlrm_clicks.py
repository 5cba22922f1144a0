"""A small DLRM is trained on generated clicks, if there is none, and written as an artifact with its AUC."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import dlrm_clicks
from benchmarks.clicks.case import TABLE_ROWS, Case
from benchmarks.clicks.data import inputs_of
from models.architectures.options import DlrmOptions
from models.artifact import Artifact
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.shapes import make_dlrm

SMALL = DlrmOptions(dense=2, fields=3, rows=20, width=4)


@pytest.mark.slow  # torch's exporter takes ten seconds
def test_command_writes_the_trained_model_and_its_auc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    small = ["--rows", "20000", "--held-out", "2000", "--table-rows", "50", "--width", "8", "--json"]
    assert dlrm_clicks.main(small) == 0

    report, artifact = json.loads(capsys.readouterr().out), Artifact.load(tmp_path / dlrm_clicks.ARTIFACT)
    assert 0.5 < report["auc_low"] < report["auc"] < report["auc_high"] < report["teacher_auc"]
    assert artifact.metrics["auc"] == report["auc"]
    runtime = load_runtime(tmp_path / dlrm_clicks.ARTIFACT, artifact, runtime_config(kind="onnx", threads=1))
    assert check_golden(tmp_path / dlrm_clicks.ARTIFACT, artifact, runtime)

    case = Case.of(artifact)
    held_out = case.draw(case.teacher(DlrmOptions(**artifact.architecture)), "report")
    scores = runtime.run(inputs_of(held_out))["score"]
    assert roc_auc_score(held_out.labels, scores) == pytest.approx(artifact.metrics["auc"], abs=1e-4)
    assert np.isfinite(scores).all()


@pytest.mark.slow
def test_only_the_same_model_of_the_same_clicks_is_not_trained_again(tmp_path: Path) -> None:
    root, case, lines = tmp_path / "a", Case(rows=500, held_out=200), list[str]()
    first = dlrm_clicks.trained(root, SMALL, case, log=lines.append)
    lines.clear()

    assert dlrm_clicks.trained(root, SMALL, case, log=lines.append).version == first.version
    assert lines == []
    other = dlrm_clicks.trained(root, SMALL, Case(rows=600, held_out=200), log=lines.append)

    assert "was trained on other rows; it is trained again" in lines[0]
    assert other.version != first.version


@pytest.mark.parametrize(("options", "status"), [(DlrmOptions(rows=TABLE_ROWS), 1), (SMALL, 0)])
def test_a_weak_model_of_the_default_size_is_a_failure(
    options: DlrmOptions,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    written = write_model(tmp_path / "a", make_dlrm(dense_per_request=False))
    metrics = {"auc": 0.7, "auc_low": 0.69, "auc_high": 0.71, "teacher_auc": 0.8, "click_rate": 0.2}
    weak = written.model_copy(
        update={"architecture": options.model_dump(), "lineage": Case().lineage(), "metrics": metrics}
    )
    monkeypatch.setattr(dlrm_clicks, "build", lambda *_arguments, **_options: weak)

    assert dlrm_clicks.main([]) == status

    assert ("auc: must be at least 0.75" in capsys.readouterr().err) == bool(status)
