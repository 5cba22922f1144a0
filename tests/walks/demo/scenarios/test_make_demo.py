"""`make demo`, as a newcomer runs it, in the environment of the tests."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.processes import READY, ServiceProcess, free_port, started
from tests.walks.demo.scenarios.pages import ROOT, example_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
_TABLE = re.compile(r"^    (\.venv/bin/rankway ask .*)\n\n```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[ServiceProcess]:
    """Yield the running demo. Nothing is installed."""
    port = free_port()
    command = ["--assume-old", ".venv/.core", "--no-print-directory", "demo", f"PORT={port}"]
    with started(command, port, tmp_path, ENVIRONMENT, python="make") as process:
        try:
            process.wait_for(READY)
            yield process
        finally:  # make itself does not pass SIGINT on to its commands
            if process.process.poll() is None:
                process.interrupt()


def shell(command: str, home: Path) -> str:
    """Run a command as the second terminal does, in the root of the repository. Return its output."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, "RANKWAY_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_of(table: str) -> list[str]:
    """Return a table's lines without the spaces around them and without the times."""
    lines = [line.strip() for line in table.splitlines()]
    return [re.sub(r"\d+\.\d(?= ms|,|$)", "N", line) if " ms in " in line else line for line in lines if line]


def test_make_demo_answers_as_the_readme_shows(demo: ServiceProcess, tmp_path: Path) -> None:
    shown = [demo.next_on_stdout() or "" for _ in range(6)]
    assert shown[:2] == ["rankway walks demo", f"rankway serve configs/demo.yaml --port {demo.port}"]
    assert shown[2] == f"demo is ready at http://127.0.0.1:{demo.port}. Try it:"
    example = example_of("README.md")
    curl = shell(shown[3].replace('}, "k": 3}', ', "minutes": 60}, "k": 3}'), tmp_path)
    example.compare(json.loads(curl))

    assert shown[4] == "Or as a table:"
    asked = shlex.split(shown[5])
    assert asked[1:] == ["ask", "configs/demo.yaml", "--port", str(demo.port)]
    match = _TABLE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert match is not None
    words = shlex.split(match[1])
    assert words[1:3] == asked[1:3]
    command = ["rankway", *words[1:], "--port", str(demo.port)]
    assert lines_of(shell(shlex.join(command), tmp_path)) == lines_of(match[2])

    demo.interrupt()
    demo.wait_for("stopping")
