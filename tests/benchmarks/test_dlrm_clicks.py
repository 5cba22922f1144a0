"""A small DLRM is trained on generated clicks and written as an artifact that passes its golden requests."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import dlrm_clicks
from benchmarks.clicks.case import Case
from benchmarks.clicks.data import inputs_of
from models.architectures.options import DlrmOptions
from models.artifact import Artifact
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.training.auc import auc

pytestmark = pytest.mark.slow  # torch's exporter takes ten seconds


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
    assert auc(scores, held_out.labels) == pytest.approx(artifact.metrics["auc"], abs=1e-4)
    assert np.isfinite(scores).all()
