"""``rankway serve`` of a pipeline whose replicas cannot start."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines import make_pipeline
from tests.services.processes import ROOT, STOP_LIMIT_S, free_port, started

BROKEN = """
class Broken:
    def __init__(self, folder, artifact, *, threads):
        pass

    def run(self, inputs):
        raise KeyError("price")
"""


@pytest.mark.slow
def test_serve_stops_at_the_first_failed_attempt_and_prints_the_cause_alone(tmp_path: Path) -> None:
    package = tmp_path / "acme"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "broken.py").write_text(BROKEN)
    config = make_pipeline(
        tmp_path,
        {
            "trust": ["acme"],
            "models": {"ranker": {"runtime": {"kind": "python", "target": "acme.broken:Broken"}}},
        },
    )
    command = ["-m", "cli.main", "serve", str(config), "--port", str(free_port()), "--verbose"]
    with started(command, 0, tmp_path, {"PYTHONPATH": str(tmp_path)}) as service:
        service.wait_for("error: KeyError: 'price'")
        assert service.process.wait(STOP_LIMIT_S) == 1
        assert service.next_on_stdout() is None
        report = "\n".join(service.output)
    assert "Retrying 2 more time(s)" in report
    assert "infinite retries" not in report


def test_serve_finds_a_model_that_cannot_run_before_it_starts_anything(tmp_path: Path) -> None:
    config = make_pipeline(tmp_path)
    manifest = tmp_path / "model" / "artifact.yaml"
    manifest.write_text(manifest.read_text().replace("dtype: int64", "dtype: int32"))
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "serve", str(config)],
        cwd=ROOT,
        env={"PATH": "", "RANKWAY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: models.ranker.artifact: ")
    assert "request_of is declared as int32, but the graph takes int64" in line
