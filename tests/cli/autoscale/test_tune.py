"""``rankway autoscale tune``: its patch, summary and JSON, and the errors for invalid numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from autoscale.traces.bins import Bins
from autoscale.traces.writing import write_bins
from tests.cli.autoscale.pipelines import call, profiled

SERVE = {"p99_ms": 60.0, "policy": {"kind": "target_ongoing"}}
SMALL = ("--trials", "4", "--middle", "2", "--finalists", "2", "--workers", "1")


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    rates = 50 + 400 * np.exp(-(((np.arange(60) - 30) / 6) ** 2))
    write_bins(Bins.from_counts(0.0, 10.0, np.round(rates * 10), 20.0), tmp_path / "wave.csv", ["made up"])
    write_bins(
        Bins.from_counts(0.0, 10.0, np.round(rates[::-1] * 11), 20.0), tmp_path / "other.csv", ["made up"]
    )
    return tmp_path


def test_search_writes_a_patch_and_reports_its_gain(home: Path) -> None:
    config, out = profiled(home, autoscaling=SERVE), home / "tuned.yaml"
    arguments = ("tune", config, home / "wave.csv", "--validate", home / "other.csv", "--out", out)
    code, output, error = call(*arguments, *SMALL, "--policy", "slo")
    assert code == 0, error
    assert "the policy slo instead of target_ongoing" in output
    assert "on other the new autoscaling costs" in output
    assert [line for line in error.splitlines() if line.startswith("whole: 2 of 2")]
    code, output, error = call(*arguments, *SMALL, "--policy", "slo", "--json")  # resumes from the journal
    assert code == 0, error
    tuned = json.loads(output)
    assert tuned["trials"] == 4
    assert any("the policy slo instead of target_ongoing" in line for line in tuned["summary"])
    assert tuned["judged"]["chosen"] in [one["judged"] for one in tuned["front"]]
    assert tuned["chosen"]["policy"]["kind"] == "slo"
    code, _, error = call("simulate", config, home / "other.csv", "--with", out)
    assert code == 0, error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--trials", "0"), "--trials"),
        (("--max-misses", "2"), "--max-misses"),
        (("--policy", "hope"), "policy: expected known kinds, got hope"),
        (("--p99-ms", "-1"), "p99-ms"),
        (("--validate", "absent.csv"), "cannot be read"),
    ],
)
def test_reports_invalid_options(home: Path, arguments: tuple[str, str], expected: str) -> None:
    code, _, error = call("tune", profiled(home), home / "wave.csv", "--out", home / "t.yaml", *arguments)
    assert code == 2
    assert expected in error
