"""The wheel in an environment without PyTorch, next to a project whose packages have the same names."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.environments import TORCH, build_wheel, install_wheel, make_environment
from tests.pipelines import make_pipeline
from tests.services.deployment.test_check_models import add_weights
from tests.services.processes import READY, free_port, started
from tests.services.servers import ask, rank_request

ROOT = Path(__file__).resolve().parents[4]
OWN = ("models", "services", "cli")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Project:
    """A user's project.

    Attributes:
        folder: the project's folder.
        python: the interpreter, with the project and Rankway installed.
    """

    folder: Path
    python: Path

    def run(self, *command: str | Path, home: Path, status: int = 0) -> str:
        """Run a command in the project's folder and return its output."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**environment, "RANKWAY_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("installed")
    python = make_environment(root / "environment", without=TORCH)
    install_wheel(python, build_wheel(ROOT, root / "wheel"))
    (site_packages,) = (root / "environment").glob("lib/python*/site-packages")
    for folder in (root / "project", site_packages):
        for package in OWN:
            (folder / package).mkdir(parents=True)
            (folder / package / "__init__.py").write_text(f"OWNER = 'the project: {package}'\n")
    return Project(root / "project", python)


def test_a_project_imports_its_own_packages(project: Project, tmp_path: Path) -> None:
    program = f"import {', '.join(OWN)}; print({', '.join(f'{package}.OWNER' for package in OWN)})"
    expected = " ".join(f"the project: {package}" for package in OWN)
    assert project.run(project.python, "-c", program, home=tmp_path).strip() == expected
    # Without the current directory, the packages that are installed next to Rankway are imported.
    assert project.run(project.python, "-P", "-c", program, home=tmp_path).strip() == expected


def test_wheel_has_one_top_level_name(project: Project, tmp_path: Path) -> None:
    program = (
        "from importlib.metadata import packages_distributions as p; print(sorted(n for n, d in p().items() "
    )
    program += "if 'rankway' in d))"
    assert project.run(project.python, "-P", "-c", program, home=tmp_path).strip() == "['rankway']"


def test_the_command_line_uses_its_own_packages(project: Project, tiny_home: Path) -> None:
    command = project.python.with_name("rankway")
    assert "Rankway serves multi-stage ranking pipelines" in project.run(command, "--help", home=tiny_home)
    config = tiny_home / "walks.yaml"
    assert "walks.yaml: ok" in project.run(command, "check", config, home=tiny_home)
    assert "walks.yaml: ok" in project.run(project.python, "-m", "rankway", "check", config, home=tiny_home)


def test_an_error_names_the_extra_that_is_missing(project: Project, tmp_path: Path) -> None:
    command = project.python.with_name("rankway")
    training = {"data": "impressions", "ranker": {"items": ["popularity"]}}
    changes = {"models": {"ranker": {"runtime": {"kind": "torch"}}}, "training": training}
    torch = make_pipeline(tmp_path, changes)
    add_weights(tmp_path)
    output = " ".join(project.run(command, "check", torch, home=tmp_path).split())
    assert "torch is not installed; pip install 'rankway[torch]'" in output
    output = " ".join(project.run(command, "serve", torch, home=tmp_path, status=2).split())
    assert "models.ranker.runtime.kind: torch is not installed; pip install 'rankway[torch]'" in output
    output = " ".join(project.run(command, "train", torch, home=tmp_path, status=2).split())
    assert "torch, accelerate are not installed; pip install 'rankway[train]'" in output


def test_data_home_is_in_the_current_directory_by_default(project: Project, tmp_path: Path) -> None:
    program = "import rankway; rankway.activate(); from services.paths import home_directory as home; "
    program += "import os; del os.environ['RANKWAY_HOME']; print(home())"
    assert project.run(project.python, "-P", "-c", program, home=tmp_path).strip() == str(
        project.folder / ".rankway"
    )


def test_serves_pipeline_from_the_project_folder(project: Project, tmp_path: Path) -> None:
    config, port = make_pipeline(tmp_path), free_port()
    command = ["-m", "rankway", "serve", str(config), "--port", str(port)]
    with started(command, port, tmp_path, python=project.python, folder=project.folder) as service:
        service.wait_for(READY)
        reply = ask(port, rank_request({"user_id": "u3", "candidates": ["item-0001", "item-0000"]}))
        assert reply.status == 200, reply.body
        assert len(reply.json["items"]) == 2
        assert reply.json["degraded"] is None
