"""The tiny home: the walks world and its models, made once per session in the way an operator makes them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
_LIMIT_S = 240

# Properties are about results. The time that a busy machine takes to draw or run an example does not matter.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data home with the tiny world, trained models, and small versions of configs/walks*.yaml.

    The commands run as separate processes, so this one keeps its environment and does not import torch.
    """
    home = tmp_path_factory.mktemp("home")
    for config in (ROOT / "configs").glob("walks*.yaml"):
        (home / config.name).write_text(config.read_text().replace("walks/full/", "walks/tiny/"))
    environment = {**os.environ, "RANKWAY_HOME": str(home)}
    rankway(environment, "walks", "build", "--preset", "tiny")
    rankway(environment, "train", str(home / "walks.yaml"))
    return home


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield an empty folder on this process's import path. Its modules are unloaded afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def rankway(environment: Mapping[str, str], *arguments: str) -> str:
    """Run the command line from the repository's root, and return its standard output."""
    command = [sys.executable, "-m", "cli.main", *arguments]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert result.returncode == 0, (
        f"rankway {' '.join(arguments)} ended with {result.returncode}:\n{result.stderr[-4000:]}"
    )
    return result.stdout
