"""Recorded traffic: several processes' files become one trace in time order."""

import json
from pathlib import Path

import pytest

from autoscale.errors import TraceError
from autoscale.traces.recorded_traffic import monday_before, read_traffic
from services.logs.traffic import RecordConfig, TrafficLog

WEDNESDAY_S = 1_559_736_000.0  # 2019-06-05 12:00 UTC
PIPELINE = json.dumps(
    {"units": {"main": {"stages": ["features", "reranker"]}, "scorer": {"stages": ["ranker"]}}}
)


def recorded(folder: Path, source: str, notes: list[tuple[float, str, str, int, int]]) -> None:
    times = iter([note[0] for note in notes])
    log = TrafficLog(RecordConfig(path=str(folder)), folder, PIPELINE, source, clock=lambda: next(times))
    for _, kind, unit, requests, candidates in notes:
        text = "because" if kind == "decision" else None
        log.note(kind, unit, "local", requests, candidates, text=text)  # type: ignore[arg-type]
    log.close()


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    at = WEDNESDAY_S
    recorded(tmp_path, "r1", [(at + 1, "arrival", "main", 1, 20), (at + 3, "arrival", "main", 1, 40)])
    recorded(tmp_path, "r2", [(at + 2, "arrival", "main", 1, 30), (at + 4, "shed", "main", 2, 0)])
    recorded(tmp_path, "s1", [(at + 2, "arrival", "scorer", 2, 50), (at + 3, "batch", "scorer", 0, 50)])
    recorded(tmp_path, "controller", [(at + 5, "decision", "scorer", 4, 0)])
    return tmp_path


def test_trace_has_the_requests_of_the_ingress(folder: Path) -> None:
    traffic = read_traffic(folder)
    (arrivals,) = traffic.trace.arrivals()
    noon_s = 2.5 * 86_400
    assert arrivals.times_s.tolist() == [noon_s + 1, noon_s + 2, noon_s + 3]
    assert arrivals.candidates.tolist() == [20, 30, 40]
    assert (traffic.shed, traffic.batches, traffic.batched) == ({"main": 2}, {"scorer": 1}, {"scorer": 50})
    (decision,) = traffic.decisions
    assert (decision.at_s, decision.replicas, decision.reason) == (noon_s + 5, 4, "because")


def test_reads_a_period(folder: Path) -> None:
    traffic = read_traffic(folder, WEDNESDAY_S + 2, WEDNESDAY_S + 3)
    (arrivals,) = traffic.trace.arrivals()
    assert arrivals.candidates.tolist() == [30]
    with pytest.raises(TraceError, match="no request arrived at unit main"):
        read_traffic(folder, WEDNESDAY_S + 100)


def test_weeks_begin_on_monday() -> None:
    assert WEDNESDAY_S - monday_before(WEDNESDAY_S) == 2.5 * 86_400


def test_rejects_missing_or_invalid_records(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="add record:"):
        read_traffic(tmp_path)
    with pytest.raises(TraceError, match="add record:"):
        read_traffic(tmp_path / "absent")
    (tmp_path / "traffic-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(TraceError, match="cannot be read"):
        read_traffic(tmp_path)
