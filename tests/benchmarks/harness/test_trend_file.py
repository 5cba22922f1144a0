import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.meters.machine import machine
from benchmarks.harness.report import as_json
from benchmarks.harness.trend_file import COLUMNS, TrendError, add_rows, read_trend, rows_of
from benchmarks.trend import TREND
from tests.benchmarks.harness.test_report import measured

MACHINE = {"cpu": "A Processor", "cores": 2, "flags": ["avx2", "avx512f"]}


def run(rps: float, repeats: int = 3, **changes: Any) -> dict[str, Any]:
    """Return serving.py's output for a workload whose control serves 1,000 requests per second."""
    sides = {"service": (rps, 4.0, 0.6), "control": (1000.0, 2.0, 0.5), "bare": (3000.0, 1.0, 0.4)}
    rows = [
        {"side": side, "load": "c32", "rps": rps, "p50_ms": 1.0, "p99_ms": p99_ms, "core_ms": core_ms}
        | {"errors": 0, "missed": 1 if side == "service" else 0, "not_200": 0}
        for side, (rps, p99_ms, core_ms) in sides.items()
    ]
    result = {"workload": "dlrm", "repeats": repeats, "rows": rows}
    return {"machine": MACHINE, "results": [result], "growth": {}} | changes


@pytest.fixture
def trend(tmp_path: Path) -> Path:
    path = tmp_path / "trend.csv"
    path.write_text(",".join(COLUMNS) + "\n")
    return path


def test_trend_file_of_the_repository_can_be_read() -> None:
    rows = read_trend(TREND)
    assert len({row.key for row in rows}) == len(rows)


def test_accepts_the_output_of_serving() -> None:
    printed = {"machine": machine(), "results": [as_json(measured(), cores=2)], "growth": {}}
    (row,) = rows_of([json.loads(json.dumps(printed))], "0.2.0", "abc1234", "2026-05-01")
    assert (row.workload, row.load, row.repeats, row.rps_ratio, row.failed) == ("dlrm", "c10", 3, 0.5, 0)
    assert row.core_ms_ratio == round(1.6 / 1.4, 3)


def test_rows_are_ratios_and_are_read_as_written(trend: Path) -> None:
    rows = list(rows_of([run(800.0)], "0.2.0", "abc1234", "2026-05-01"))
    add_rows(trend, rows)
    assert read_trend(trend) == rows
    (row,) = rows
    assert (row.rps_ratio, row.p50_ratio, row.p99_ratio, row.core_ms_ratio) == (0.8, 1.0, 2.0, 1.2)
    assert (row.workload, row.load, row.failed, row.flags) == ("dlrm", "c32", 1, "avx2 avx512f")


def test_records_the_median_of_several_rounds() -> None:
    (row,) = rows_of([run(rps, repeats=1) for rps in (500.0, 900.0, 800.0)], "0.2.0", "abc1234", "2026-05-01")
    assert (row.rps_ratio, row.repeats, row.failed) == (0.8, 3, 3)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([run(800.0, repeats=1)], "dlrm c32: repeats: must be at least 3, got 1"),
        ([run(800.0, machine=None)], "machine: missing"),
        ([run(800.0), run(800.0, machine=MACHINE | {"cores": 4})], "or not the same in all files"),
        ([run(800.0), run(800.0, results=[])], "must be in all 2 files, got 1"),
        ([run(float("nan"))], "rps_ratio: must be between 0 and 1000, got nan"),
    ],
)
def test_rejects_runs_that_are_not_one_complete_measurement(runs: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(TrendError, match=message):
        list(rows_of(runs, "0.2.0", "abc1234", "2026-05-01"))


def test_rejects_a_measurement_that_is_already_recorded(trend: Path) -> None:
    rows = list(rows_of([run(800.0)], "0.2.0", "abc1234", "2026-05-01"))
    add_rows(trend, rows)
    before = trend.read_bytes()
    with pytest.raises(TrendError, match="already has dlrm c32 of abc1234 on this machine"):
        add_rows(trend, rows)
    assert trend.read_bytes() == before
    add_rows(trend, list(rows_of([run(850.0)], "0.3.0", "def5678", "2026-06-01")))
    assert [row.release for row in read_trend(trend)] == ["0.2.0", "0.3.0"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0.2.0,abc1234,2026-05-01,dlrm,c32,three,1,1,1,1,0,cpu,2,avx2", "line 2: invalid literal"),
        ("0.2.0,abc1234,yesterday,dlrm,c32,3,1,1,1,1,0,cpu,2,avx2", "line 2: Invalid isoformat"),
        ("0.2.0,abc1234,2026-05-01,dlrm,c32,3,1,1,inf,1,0,cpu,2,avx2", "p99_ratio"),
        ("0.2.0,abc1234,2026-05-01,dlrm,c32,3", "line 2: expected 14 values, got 6; correct the line"),
        (
            "0.2.0,abc1234,2026-05-01,dlrm,c32,3,1,1,1,1,0,cpu,2,avx2,more",
            "line 2: expected 14 values, got 15; correct the line",
        ),
    ],
)
def test_error_names_the_damaged_line(trend: Path, line: str, message: str) -> None:
    trend.write_text(f"{','.join(COLUMNS)}\n{line}\n")
    with pytest.raises(TrendError, match=message):
        read_trend(trend)


def test_rejects_a_file_with_other_columns(trend: Path) -> None:
    trend.write_text("release,commit\n")
    with pytest.raises(TrendError, match="the columns are not"):
        read_trend(trend)
