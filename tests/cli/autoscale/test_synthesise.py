"""``rankway autoscale synthesise``: a trace from the real series. All shipped traces can be opened."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscale.traces.files import open_trace
from cli.main import root

TRACES = sorted((Path(__file__).parents[3] / "configs" / "traces").iterdir())


def synthesise(*arguments: str) -> tuple[int, str]:
    called = ["autoscale", "synthesise", *arguments]
    result = CliRunner().invoke(root(called), called)
    return result.exit_code, result.output


def test_makes_a_valid_trace(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    code, output = synthesise(str(path), "--requests-per-day", "1e5", "--day", "2019-06-04", "--json")
    assert code == 0, output
    assert open_trace(path).bins(60.0).requests.sum() == json.loads(output)["requests"]
    assert "Capital Bikeshare" in path.read_text()


def test_reports_invalid_days_and_formats(tmp_path: Path) -> None:
    code, output = synthesise(str(tmp_path / "t.csv"), "--requests-per-day", "1", "--day", "1999-01-01")
    assert code == 2
    assert "must be days in the series" in output
    code, output = synthesise(str(tmp_path / "t.txt"), "--requests-per-day", "1", "--day", "2019-06-04")
    assert code == 2
    assert ".csv or .parquet" in output


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name)
def test_every_shipped_trace_opens(path: Path) -> None:
    assert open_trace(path).bins(60.0).requests.sum() > 1e7
