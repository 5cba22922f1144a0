"""A pipeline that runs on ONNX does not import PyTorch. A separate process makes the import fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

FORBID = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        # No ImportError: an import that is only tried counts too.
        assert name.partition(".")[0] != "torch", f"{name} is imported"

sys.meta_path.insert(0, NoTorch())
"""
ANSWER = """
from pathlib import Path
from services.app import StandaloneApp
from tests.services.servers import ask, http_server, rank_request

config = Path(sys.argv[1])
context = {"position": [60.169, 24.940], "minutes": 60}
with http_server(StandaloneApp(config, config.parent)) as port:
    reply = ask(port, rank_request({"user_id": "u-000001", "context": context, "k": 3, "deadline_ms": 5000}))
print(reply.status, len(reply.json["items"]), reply.json["degraded"])
"""
COMMAND = """
sys.argv[0] = "rankway"
from cli.main import main

main()
"""


def run(program: str, *arguments: str | Path, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run a program that may not import PyTorch."""
    return subprocess.run(
        [sys.executable, "-c", FORBID + program, *arguments],
        cwd=ROOT,
        env={**os.environ, "RANKWAY_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_answers_a_request(tiny_home: Path) -> None:
    done = run(ANSWER, tiny_home / "walks.yaml", home=tiny_home)
    assert done.stdout.strip() == "200 3 None", done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["check", "walks.yaml"]])
def test_command_line_works(tiny_home: Path, arguments: list[str]) -> None:
    done = run(
        COMMAND, *(tiny_home / each if each.endswith(".yaml") else each for each in arguments), home=tiny_home
    )
    assert done.returncode == 0, done.stderr


def test_detects_an_attempted_import(tiny_home: Path) -> None:
    done = run("try:\n    import torch\nexcept ImportError:\n    pass", home=tiny_home)
    assert "torch is imported" in done.stderr
