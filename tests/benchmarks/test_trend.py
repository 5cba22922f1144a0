import json
from pathlib import Path

import pytest

from benchmarks.harness.trend_file import COLUMNS, read_trend
from benchmarks.trend import main
from tests.benchmarks.harness.test_trend_file import run


@pytest.fixture
def trend(tmp_path: Path) -> Path:
    path = tmp_path / "trend.csv"
    path.write_text(",".join(COLUMNS) + "\n")
    return path


def test_adds_a_release_and_shows_it(trend: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--file", str(trend)]) == 0
    assert capsys.readouterr().out == "no release has been measured yet\n"
    printed = trend.with_name("serving.json")
    printed.write_text(json.dumps(run(800.0)))
    assert main(["--file", str(trend), "add", str(printed), "--release", "0.2.0"]) == 0
    head, line, _ = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["workload", "load", "release", "commit"]
    assert line.split()[:3] == ["dlrm", "c32", "0.2.0"]
    assert "A Processor, 2 cores, avx2 avx512f" in line
    (row,) = read_trend(trend)
    assert row.commit in line


@pytest.mark.parametrize("text", ["", "{}", '{"results": []}', "[1]", "\x00"])
def test_rejects_a_file_that_is_not_the_output_of_serving(
    trend: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    printed = trend.with_name("serving.json")
    printed.write_text(text)
    assert main(["--file", str(trend), "add", str(printed), "--release", "0.2.0"]) == 1
    assert "not the output of serving.py --json" in capsys.readouterr().err
    assert read_trend(trend) == []


@pytest.mark.parametrize("commit", ["no-such-commit", "--output=taken", ""])
def test_rejects_an_unknown_commit(trend: Path, capsys: pytest.CaptureFixture[str], commit: str) -> None:
    printed = trend.with_name("serving.json")
    printed.write_text(json.dumps(run(800.0)))
    assert main(["--file", str(trend), "add", str(printed), "--release", "0.2.0", f"--commit={commit}"]) == 1
    assert f"--commit: unknown to git, got {commit};" in capsys.readouterr().err
