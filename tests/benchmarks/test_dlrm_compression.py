"""A tiny DLRM is trained, compressed and reported in one run."""

import json
from pathlib import Path

import pytest

from benchmarks import dlrm_compression
from models.compress.rows import Result

pytestmark = (
    pytest.mark.slow
)  # torch's exporter takes ten seconds, and each model is measured in its own process


def test_report_has_all_figures_of_all_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))

    assert dlrm_compression.main(["--quick", "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    even = report.pop("drawn_evenly")
    report.pop("front")
    report.pop("choices")
    result = Result.model_validate(report)
    assert result.metric == "AUC"
    original, *steps = (row.figures for row in result.rows)
    assert original is not None
    assert len(steps) == 3
    for figures in steps:
        assert figures is not None
        assert figures.fault is None
        assert figures.change_of_original is not None
        assert abs(figures.change_of_original.value) < 0.01
    rows = steps[0]
    assert rows is not None
    assert rows.sizes.disk_bytes < 0.6 * original.sizes.disk_bytes
    assert {(each["model"], each["candidates"]) for each in even} == {
        (row.label, count) for row in result.rows for count in (4, 8)
    }
    assert "drawn evenly" in dlrm_compression.tables(result, [])
