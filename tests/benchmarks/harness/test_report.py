import pytest

from benchmarks.cases.bare_model import BareCell
from benchmarks.cases.workloads import WORKLOADS
from benchmarks.harness.answers import Batches
from benchmarks.harness.cells import Cell, Load, model_core_ms
from benchmarks.harness.report import Measured, as_json, as_text, growth
from benchmarks.harness.results import LoadResult

BARE = [
    BareCell("onnx", 2, 1, 1, 1000.0, 2.0),
    BareCell("onnx", 2, 1, 4, 2000.0, 1.0),
    BareCell("torch", 1, 2, 4, 3000.0, 0.7),
]
LOAD = Load(clients=10)


def cell(rps: float, by_role: dict[str, float]) -> Cell:
    result = LoadResult(
        "benchmarks.harness.load", "closed", 10, None, 5.0, 100, rps, 1.0, 2.0, 3.0, {"200": 100}
    )
    return Cell(result, by_role, Batches({1: 2, 4: 2}, {"ranker": 1.5}, 0.1, 0), 0.0)


def test_model_cost_is_taken_at_the_observed_batch_sizes() -> None:
    # Two batches of one request at 2 ms, and two of four requests at 1 ms each: 12 ms for 10 requests.
    assert model_core_ms(Batches({1: 2, 4: 2}, {}, 0.0, 0), BARE[:2]) == pytest.approx(1.2)


def test_model_cost_is_interpolated_between_measured_sizes() -> None:
    assert model_core_ms(Batches({2: 1}, {}, 0.0, 0), BARE[:2]) == pytest.approx(1.5)


def test_model_cost_of_a_divided_batch_is_that_of_its_calls() -> None:
    assert model_core_ms(Batches({1: 2, 4: 2}, {}, 0.0, 0), BARE[:2], most=1) == pytest.approx(2.0)


def measured() -> Measured:
    slow, fast = (BareCell("onnx", 2, 1, 1, 1.0, cost) for cost in (9.0, 0.1))
    report = Measured(WORKLOADS["dlrm"], BARE, [slow, *BARE[:2], fast], [2900.0, 3000.0, 3100.0])
    for rps in (900.0, 1000.0, 1500.0):
        report.add("service", LOAD, cell(rps, {"replica": 1.5, "haproxy": 0.1}))
        report.add("control", LOAD, cell(2 * rps, {"uvicorn": 1.4}))
    return report


def test_reports_medians_ratios_and_the_cost_outside_the_model() -> None:
    result = as_json(measured(), cores=2)
    service, control = result["rows"]
    assert result["bare"]["rps"] == 3000.0
    assert service["rps"] == 1000.0
    assert service["spread"] == pytest.approx(0.6)
    assert service["ratio_to_bare"] == pytest.approx(1 / 3)
    assert service["ratio_to_control"] == pytest.approx(0.5)
    assert "ratio_to_control" not in control
    assert service["outside_by_role"] == {"replica": pytest.approx(0.3), "haproxy": 0.1}
    assert service["outside_core_ms"] == pytest.approx(0.4)
    assert control["outside_core_ms"] == pytest.approx(0.2)


def test_text_reports_whether_the_fast_path_is_on() -> None:
    report = measured()
    assert "fast path OFF" in as_text(as_json(report, cores=2))
    report.health["service"] = {"fast_path": True}
    text = as_text(as_json(report, cores=2))
    assert "fast path on" in text
    assert "haproxy 0.100" in text


def test_growth_is_reported_only_with_both_walks_workloads() -> None:
    rows = [
        {"side": "service", "load": "c10", "core_ms": 2.0},
        {"side": "control", "load": "c10", "core_ms": 1.0},
    ]
    small = {"workload": "walks-200", "rows": rows}
    large = {"workload": "walks-1000", "rows": [{**rows[0], "core_ms": 9.0}]}
    assert growth([small]) == {}
    assert growth([small, large]) == {"core-ms of 1,000 candidates over 200, c10": 4.5}
