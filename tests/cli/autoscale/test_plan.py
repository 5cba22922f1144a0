"""``rankway autoscale plan``: its table, its JSON and its errors."""

import json
from pathlib import Path

import pytest

from tests.cli.autoscale.pipelines import call, profiled


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    return tmp_path


def test_plans_a_load_and_its_growth(home: Path) -> None:
    config = profiled(home)
    code, output, error = call("plan", config, "--requests-per-day", "1e8", "--json")
    assert code == 0, error
    planned = json.loads(output)
    assert planned["sized"]["pools"]["cpu"]["spare"] == 3
    assert planned["sized"]["cost_per_year"] == 365 * planned["sized"]["cost_per_day"]
    assert [load["requests_per_day"] for load in planned["growth"]] == [1e9, 1e10]
    code, output, error = call("plan", config, "--requests-per-day", "1e8")
    assert code == 0, error
    assert "main@cpu" in output
    assert "Bottleneck: main" in output
    assert "the profile of main@cpu: a test's" in output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--requests-per-day", "-1"), "requests-per-day"),
        (("--requests-per-day", "nan"), "requests-per-day"),
        (("--requests-per-day", "1e8", "--peak-factor", "0.5"), "peak-factor"),
        (("--requests-per-day", "1e8", "--zones", "0"), "zones"),
    ],
)
def test_a_number_out_of_range_is_refused(home: Path, arguments: tuple[str, ...], expected: str) -> None:
    code, _, error = call("plan", profiled(home), *arguments)
    assert code == 2
    assert expected in error


def test_error_without_a_profile_names_the_remedy(home: Path) -> None:
    config = profiled(home)
    (home / "main.json").unlink()
    code, _, error = call("plan", config, "--requests-per-day", "1e8")
    assert code == 2
    assert "rankway models bench" in error
