"""A run that is killed in the middle of a step: the next run keeps finished steps and continues the killed one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from models.artifact import Artifact
from tests.models.compress.homes import recipe_document

ROOT = Path(__file__).resolve().parents[4]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("noise")]


def start(home: Path, site: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "models", "compress", str(home / "recipe.yaml")],
        cwd=ROOT,
        env={**os.environ, "RANKWAY_HOME": str(home), "PYTHONPATH": f"{site}:{ROOT}"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_finished_steps_are_kept_and_the_killed_step_continues(
    home: Path, site: Path, sent: signal.Signals
) -> None:
    log, released = home / "log", home / "released"
    steps = [
        {"kind": "noise", "log": str(log)},
        {"kind": "noise", "scale": 0.02, "log": str(log), "wait_for": str(released)},
        {"kind": "noise", "scale": 0.03, "log": str(log)},
    ]
    document = recipe_document(pipeline=str(home / "pipeline.yaml"), steps=steps)
    (home / "recipe.yaml").write_text(yaml.safe_dump(document))
    with start(home, site) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("main/02-noise: noise: 1 of 2"):
                break
        process.send_signal(sent)
        rest = process.communicate(timeout=60)[1]
    assert process.returncode == (-9 if sent == signal.SIGKILL else 130), "".join(lines) + rest
    assert "Traceback" not in rest
    first = Artifact.load(home / "compressed" / "main" / "01-noise").version
    assert not (home / "compressed" / "main" / "02-noise").exists()

    released.touch()
    with start(home, site) as process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert log.read_text().splitlines() == ["0.01 begun", "0.02 begun", "0.02 resumed", "0.03 begun"]
    assert "main/03-noise" in output
    assert Artifact.load(home / "compressed" / "main" / "01-noise").version == first
    assert not (home / "compressed" / "main" / "02-noise.scratch").exists()
    assert (home / "compressed" / "report.html").exists()
