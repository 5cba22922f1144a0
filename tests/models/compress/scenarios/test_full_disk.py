"""A disk that fills up while a step writes: the run ends with a remedy, and a later run completes it."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.models.compress.homes import recipe_document

ROOT = Path(__file__).resolve().parents[4]
STEPS = [{"kind": "prune", "hidden": 0.5, "importance": "magnitude", "tune": None}]


def compress(home: Path, limit: Callable[[], None] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "models", "compress", str(home / "recipe.yaml")],
        cwd=ROOT,
        env={**os.environ, "RANKWAY_HOME": str(home)},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kib", [4, 24])
def test_run_ends_with_a_remedy_and_is_completed_with_more_room(home: Path, kib: int) -> None:
    """The weights do not fit into 4 KiB, and the graph does not fit into 24 KiB."""
    document = recipe_document(pipeline=str(home / "pipeline.yaml"), steps=STEPS, trust=[])
    (home / "recipe.yaml").write_text(yaml.safe_dump(document))
    full = compress(home, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kib << 10, kib << 10)))
    assert full.returncode == 1
    assert "File too large" in full.stderr
    assert (
        f"finished steps are kept; make room under {home}, or allow this user to write there" in full.stderr
    )
    assert "Traceback" not in full.stderr
    branch = home / "compressed" / "main"
    assert not list(branch.glob("0*-*/artifact.yaml"))

    completed = compress(home)
    assert completed.returncode == 0, completed.stderr
    assert sorted(path.parent.name for path in branch.glob("0*-*/artifact.yaml")) == ["01-prune"]
    assert not [path for path in branch.rglob("*") if ".writing" in path.name or path.suffix == ".scratch"]
