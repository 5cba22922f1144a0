"""``rankway autoscale record``: recorded traffic becomes a trace."""

import json
from pathlib import Path

import pytest

from autoscale.traces.files import open_trace
from services.logs.traffic import RecordConfig, TrafficLog
from tests.cli.autoscale.pipelines import call, profiled


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    return tmp_path


def test_writes_recorded_traffic_as_a_trace(home: Path) -> None:
    config = profiled(home, record={"path": "traffic"})
    pipeline = json.dumps({"units": {"main": {"stages": ["features", "ranker"]}}})
    log = TrafficLog(RecordConfig(path="traffic"), home, pipeline, "r1")
    for candidates in (5, 6, 7):
        log.note("arrival", "main", "cpu", 1, candidates)
    log.close()
    code, output, error = call("record", config, home / "t.parquet", "--json")
    assert code == 0, error
    assert json.loads(output)["requests"] == 3
    (arrivals,) = open_trace(home / "t.parquet").arrivals(0)
    assert arrivals.candidates.tolist() == [5, 6, 7]


def test_reports_invalid_recordings(home: Path) -> None:
    for changes, name, expected in (
        ({}, "t.parquet", "which therefore records no traffic; add it with a path"),
        ({"record": {"path": "traffic"}}, "t.csv", "must be a .parquet file, got"),
        ({"record": {"path": "traffic"}}, "t.parquet", "no recorded traffic"),
        (
            {"record": {"path": "s3://bucket/traffic"}},
            "t.parquet",
            "must be a local folder, got s3://bucket/traffic",
        ),
    ):
        code, _, error = call("record", profiled(home, **changes), home / name)
        assert code == 2
        assert expected in error
