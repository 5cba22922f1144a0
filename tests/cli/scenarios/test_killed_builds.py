"""A ``rankway build`` that is killed at random points, or started twice at once, has the bytes of one full build."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from cli.new import new
from tests.models.datasets.builds import content
from tests.models.datasets.files.tables import write

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
FILES, ROWS = 4, 20_000
PROGRAM = """
import sys
from models.datasets.files import csv_rows, event_rows
from cli.main import root
csv_rows.BLOCK_BYTES, event_rows.SEGMENT_ROWS = 100_000, 5_000  # several segments in each file
root(["build"])(["build", "shop.yaml", "--skip-bad"])
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data home, in a folder with a space in its name, with a new pipeline over four files of events."""
    home = tmp_path / "a home"
    home.mkdir()
    monkeypatch.setenv("RANKWAY_HOME", str(home))
    monkeypatch.chdir(home)
    random_ = np.random.default_rng(0)
    (home / "events").mkdir()
    for number in range(FILES):
        times = 1_600_000_000 + number * 100_000 + np.sort(random_.integers(0, 100_000, ROWS))
        columns = {
            "user_id": [f"u{user}" for user in random_.integers(0, 2000, ROWS)],
            "item_id": [f"i{item}" for item in random_.integers(0, 300, ROWS)],
            "timestamp": times.tolist(),
        }
        columns["user_id"][ROWS // 2] = ""
        write(home / "events" / f"day-{number}.csv", columns)
    app = typer.Typer()
    app.command()(new)
    assert CliRunner().invoke(app, ["shop", "--events", "events"]).exit_code == 0
    return home


@contextmanager
def building(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a build, and kill it in the end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(command, cwd=home, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_kills_at_random_points_change_no_byte(home: Path) -> None:
    points = random.Random(7)
    for lines in (points.randint(2, 7), points.randint(8, 14)):
        with building(home) as process:
            assert process.stderr is not None
            for _ in range(lines):  # progress is printed for each 10% of a step
                process.stderr.readline()
            process.send_signal(signal.SIGKILL)
            process.wait(60)
    with building(home) as process:
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 0, errors
        assert "0 files reused, 4 read, " not in errors
    resumed = content(home / "shop" / "data")
    assert sorted(path.name for path in (home / "shop").glob("data*")) == ["data", "data.segments"]
    for folder in ("data", "data.segments"):
        (home / "shop" / folder).rename(home / f"former {folder}")
    with building(home) as process:
        errors = process.communicate(timeout=120)[1]
        assert "0 files reused, 4 read, 79,9" in errors
    whole = content(home / "shop" / "data")
    for loads in (resumed, whole):
        assert loads.pop("users.loaded")
    assert resumed == whole


def test_of_two_builds_at_once_one_waits_or_is_refused(home: Path) -> None:
    with building(home) as one, building(home) as other:
        results = [process.communicate(timeout=120)[1] for process in (one, other)]
    assert 0 in (one.returncode, other.returncode), results
    for process, errors in zip((one, other), results, strict=True):
        assert process.returncode == 0 or "another process has been writing this folder" in errors
        assert "Traceback" not in errors
    assert sum("0 files reused, 4 read" in errors for errors in results) == 1
    assert sorted(path.name for path in (home / "shop").glob("data*")) == ["data", "data.segments"]
