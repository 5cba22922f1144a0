"""The git hooks in .pre-commit-config.yaml, in a temporary repository."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / ".pre-commit-config.yaml"


def run(repository: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in the repository, with only the repository's own git configuration."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    author = {
        f"GIT_{role}_{field}": "x@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for field in ("NAME", "EMAIL")
    }
    own = {"HOME": str(repository), "PRE_COMMIT_HOME": str(repository / ".cache"), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        command,
        cwd=repository,
        env={**inherited, **author, **own},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with the hooks for commit messages."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copy(CONFIG, root)
    shutil.copytree(ROOT / ".ci", root / ".ci")
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / ".venv").mkdir()
    (root / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    for command in (
        ["git", "init", "--quiet"],
        [sys.executable, "-m", "pre_commit", "install", "-t", "commit-msg"],
    ):
        result = run(root, *command)
        assert result.returncode == 0, result.stderr
    return root


def commit(repository: Path, message: str) -> "subprocess.CompletedProcess[str]":
    return run(repository, "git", "commit", "--allow-empty", "--quiet", "--message", message)


@pytest.mark.parametrize(
    "message",
    [
        "Answer " + "x" * 65,
        "Ä" * 72,
        "Short\n\n" + "The reasons may have lines of any length, which no hook counts. " * 3,
        "fixup! " + "x" * 72,
    ],
    ids=["at the limit", "characters, not bytes", "a body", "to be squashed"],
)
def test_accepts_a_good_commit_message(repository: Path, message: str) -> None:
    result = commit(repository, message)
    assert result.returncode == 0, result.stderr
    assert run(repository, "git", "log", "-1", "--format=%s").stdout.strip() == message.partition("\n")[0]


@pytest.mark.parametrize(
    "message",
    [
        "Answer " + "x" * 66,
        # Git joins the lines of the first paragraph.
        "Answer all requests that came in time,\nand then those that did not come in time",
    ],
    ids=["a line", "a paragraph"],
)
def test_rejects_a_long_subject(repository: Path, message: str) -> None:
    result = commit(repository, message)
    assert result.returncode != 0
    assert "characters, at most 72 are allowed" in result.stderr + result.stdout


def test_rejects_a_misspelt_message(repository: Path) -> None:
    result = commit(repository, "Close the connection".replace("nn", "n"))
    assert result.returncode != 0
    assert "should be `connection`" in result.stderr + result.stdout


def test_every_hook_is_local_and_its_program_exists() -> None:
    (local,) = yaml.safe_load(CONFIG.read_text())["repos"]
    assert local["repo"] == "local"
    targets = (ROOT / "Makefile").read_text()
    for hook in local["hooks"]:
        assert hook["language"] == "system"
        program, *arguments = shlex.split(hook["entry"])
        if program == "make":
            assert all(f"\n{target}: install" in targets for target in arguments)
        else:
            assert program.startswith(".venv/bin/")
            assert shutil.which(Path(program).name, path=str(Path(sys.executable).parent)), (
                f"{program} is missing"
            )
            assert all((ROOT / argument).is_file() for argument in arguments)
