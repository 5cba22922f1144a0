"""The data home, and files that ship with Rankway. This module imports no large package."""

import os
from pathlib import Path

PACKAGES = Path(__file__).resolve().parent.parent
"""The folder that contains this package: the root of a repository, or a wheel's private folder."""


def home_directory() -> Path:
    """Return ``$RANKWAY_HOME``. If it is not set, return ``.rankway`` in the repository.

    If Rankway was installed from a wheel, ``.rankway`` is in the current directory.
    """
    configured = os.environ.get("RANKWAY_HOME")
    if configured:
        return Path(configured).absolute()
    is_repository = (PACKAGES / "pyproject.toml").exists()
    return (PACKAGES if is_repository else Path.cwd()) / ".rankway"


def shipped(home: Path, path: str) -> Path:
    """Return the path of a file in the home.

    If the home has no such file but Rankway ships one, return the path of the shipped file.
    """
    own = home / path
    return own if own.exists() or not (PACKAGES / path).exists() else PACKAGES / path
