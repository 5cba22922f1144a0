import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.build import build
from cli.new import new
from tests.models.datasets.files.tables import shop_events, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data home and current folder with a new pipeline ``shop.yaml``."""
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    events = shop_events()
    items = sorted(set(events["item_id"]))
    write(tmp_path / "events.csv", events)
    write(tmp_path / "items.csv", {"item_id": items, "price": range(len(items))})
    app = typer.Typer()
    app.command()(new)
    assert CliRunner().invoke(app, ["shop", "--events", "events.csv", "--items", "items.csv"]).exit_code == 0
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    app = typer.Typer()
    app.command()(build)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_builds_once_and_again_if_a_file_changes(home: Path) -> None:
    code, output, errors = run("shop.yaml", "--json")
    assert code == 0, errors
    assert json.loads(output)["events"] == len(shop_events()["user_id"])
    assert ": built" in errors
    assert "loading the users" in errors
    again = run("shop.yaml")[2]
    assert ": up to date" in again
    assert "loading the users" not in again
    write(home / "events.csv", shop_events(seed=1))
    assert ": built" in run("shop.yaml")[2]


def test_a_bad_row_is_refused_and_the_former_data_stays_or_the_row_is_skipped_and_listed(home: Path) -> None:
    assert run("shop.yaml")[0] == 0
    before = (home / "shop" / "data" / "build.json").read_bytes()
    with (home / "events.csv").open("a") as file:
        file.write("u1,i01,yesterday,5\n")
    code, _, errors = run("shop.yaml")
    assert code == 2
    assert "column timestamp must be a time, got 'yesterday'" in errors
    assert "Traceback" not in errors
    assert (home / "shop" / "data" / "build.json").read_bytes() == before
    code, output, errors = run("shop.yaml", "--skip-bad", "--json")
    assert code == 0
    assert json.loads(output)["skipped"] == {"timestamp must be a time": 1}
    assert "yesterday" in (home / "shop" / "data" / "skipped.txt").read_text()


def test_an_empty_split_is_refused(home: Path) -> None:
    events = {name: column[:40] for name, column in shop_events().items()}
    once = {**events, "user_id": [f"v{n}" for n in range(40)]}  # no user has an earlier event
    write(home / "events.csv", once)
    code, _, errors = run("shop.yaml")
    assert code == 2
    assert "the split train must have at least 2 lists" in errors
    assert not (home / "shop" / "data").exists()


def test_a_pipeline_without_events_is_refused(home: Path) -> None:
    code, _, errors = run(str(ROOT / "configs" / "walks.yaml"))
    assert code == 2
    assert "training.events: missing" in errors


def test_a_killed_build_leaves_no_data_and_the_next_one_does_not_read_the_files_again(home: Path) -> None:
    program = (
        "import os, signal\n"
        "from models.datasets import build\n"
        "from cli.main import root\n"
        "build.write_users = lambda *args: os.kill(os.getpid(), signal.SIGKILL)\n"
        "root(['build'])(['build', 'shop.yaml'])\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (home / "shop" / "data").exists()
    code, output, errors = run("shop.yaml", "--json")
    assert code == 0, errors
    assert json.loads(output)["files"] == {"reused": 1, "read": 0, "resumed": 0}
    assert f"  1 file reused, 0 read, {len(shop_events()['user_id']):,} events" in errors
    assert sorted(path.name for path in (home / "shop").iterdir() if path.name.startswith("data")) == [
        "data",
        "data.segments",
    ]
