"""``rankway autoscale simulate`` and ``replay``: figures, reasons, charts, comparisons and gates."""

import json
from pathlib import Path

import numpy as np
import pytest

from autoscale.traces.bins import Bins
from autoscale.traces.writing import write_bins
from services.config.loading import load_config
from services.logs.traffic import RecordConfig, TrafficLog
from tests.cli.autoscale.pipelines import call, profiled

SERVE = {"p99_ms": 60.0, "policy": {"kind": "target_ongoing", "upscale_delay_s": 0.0}}
LAZY = "autoscaling: {p99_ms: 60.0, policy: {kind: target_ongoing, upscale_delay_s: 3000.0}}\n"


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    rates = np.array([100, 100, 500, 900, 500, 100])
    write_bins(Bins.from_counts(0.0, 20.0, rates * 20, 20.0), tmp_path / "wave.csv", ["made up"])
    (tmp_path / "lazy.yaml").write_text(LAZY)
    return tmp_path


def test_simulation_reports_figures_decisions_and_reasons(home: Path) -> None:
    config = profiled(home, autoscaling=SERVE)
    code, output, error = call("simulate", config, home / "wave.csv", "--json", "--html", home / "r.html")
    assert code == 0, error
    simulation = json.loads(output)
    assert simulation["requests"]["arrived"] == 44_000
    assert any(decision["changed"] for decision in simulation["decisions"])
    report = (home / "r.html").read_text()
    assert report.count("<svg") == report.count("</svg>") >= 5
    assert "Decisions of target_ongoing" in report
    assert "src=" not in report
    assert "http" not in report.replace("http://www.w3.org", "").replace("http://purl.org", "")
    code, output, error = call("simulate", config, home / "wave.csv", "--requests-per-day", "1e6")
    assert code == 0, error
    assert "share of missed" in output


def test_bins_of_any_width_are_simulated(home: Path) -> None:
    write_bins(Bins.from_counts(0.0, 7.0, [350, 700, 350], 20.0), home / "sevens.csv", ["made up"])
    code, output, error = call(
        "simulate", profiled(home), home / "sevens.csv", "--requests-per-day", "4e6", "--json"
    )
    assert code == 0, error
    assert json.loads(output)["requests"]["arrived"] == pytest.approx(4e6 * 21 / 86_400, rel=0.01)


def test_refuses_times_outside_the_trace(home: Path) -> None:
    code, _, error = call("simulate", profiled(home), home / "wave.csv", "--start-s", "43200")
    assert code == 2
    assert "outside the trace, which runs from 0 to 120 s, got 43200 and 120" in error


def test_replicas_stay_without_autoscaling(home: Path) -> None:
    code, output, error = call("simulate", profiled(home), home / "wave.csv", "--json")
    assert code == 0, error
    assert "replica counts stay as configured" in error
    assert not any(decision["changed"] for decision in json.loads(output)["decisions"])


def test_replay_compares_both_cases_and_applies_gates(home: Path) -> None:
    config = profiled(home, autoscaling=SERVE)
    arguments = ("replay", home / "wave.csv", "--config", config, "--with", home / "lazy.yaml")
    code, output, error = call(*arguments, "--fail-if", "cost>3x")
    assert code == 0, error
    assert "as it is" in output
    assert "lazy" in output
    code, output, error = call(*arguments, "--fail-if", "misses>1x", "--json")
    assert code == 1
    assert "fails: misses>1x" in error
    assert set(json.loads(output)) == {"as it is", "lazy"}


def test_replay_uses_the_recorded_pipeline(home: Path) -> None:
    config = load_config(profiled(home, autoscaling=SERVE, record={"path": "traffic"}))
    moments = iter(1_559_736_000.0 + 0.01 * np.arange(10_000))
    log = TrafficLog(
        RecordConfig(path="traffic"), home, config.model_dump_json(), "r1", clock=lambda: float(next(moments))
    )
    for _ in range(2000):
        log.note("arrival", "main", "cpu", 1, 20)
    log.note("batch", "main", "cpu", 0, 40, 5.0)
    log.close()
    code, output, error = call("replay", home / "traffic", "--with", home / "lazy.yaml", "--json")
    assert code == 0, error
    assert "main as recorded: 1 batches" in error
    assert json.loads(output)["lazy"]["requests"]["arrived"] == 2000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("simulate", "pipeline.yaml", "absent.csv"), "cannot be read"),
        (
            ("simulate", "pipeline.yaml", "wave.csv", "--start-s", "50", "--end-s", "10"),
            "swap start_s and end_s",
        ),
        (("simulate", "pipeline.yaml", "wave.csv", "--requests-per-day", "-1"), "must be above 0, got -1"),
        (("simulate", "pipeline.yaml", "wave.csv", "--with", "bad.yaml"), "autoscaling.policy"),
        (("simulate", "pipeline.yaml", "wave.csv", "--html", "no/r.html"), "r.html cannot be written"),
        (("replay", "wave.csv", "--with", "lazy.yaml"), "give --config"),
        (("replay", "no-traffic", "--with", "lazy.yaml"), "add record:"),
        (
            ("replay", "wave.csv", "--with", "lazy.yaml", "--fail-if", "joy<1"),
            "--fail-if: expected a condition such as",
        ),
        (
            ("replay", "wave.csv", "--with", "lazy.yaml", "--fail-if", "cost>1.2.3"),
            "expected a number, got 1.2.3",
        ),
    ],
)
def test_reports_invalid_input(home: Path, arguments: tuple[str, ...], expected: str) -> None:
    profiled(home)
    (home / "no-traffic").mkdir()
    (home / "bad.yaml").write_text("autoscaling: {p99_ms: 60.0, policy: {kind: wishful}}\n")
    named = [str(home / each) if "." in each and "=" not in each else each for each in arguments[1:]]
    named = [str(home / "no-traffic") if each == "no-traffic" else each for each in named]
    if "--fail-if" in arguments:
        named[-1] = arguments[-1]
    code, _, error = call(arguments[0], *named)
    assert code == 2
    assert expected in error
