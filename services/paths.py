"""The home: the directory that a pipeline's data paths are relative to. Imports nothing heavy."""

import os
from pathlib import Path

PACKAGES = Path(__file__).resolve().parent.parent
"""The folder that this package lies in: the root of a repository, or a wheel's private folder."""


def home_directory() -> Path:
    """Return ``$RANKWAY_HOME``, else ``.rankway`` in the repository; of a wheel, in the current directory."""
    configured = os.environ.get("RANKWAY_HOME")
    if configured:
        return Path(configured).absolute()
    is_repository = (PACKAGES / "pyproject.toml").exists()
    return (PACKAGES if is_repository else Path.cwd()) / ".rankway"


def shipped(home: Path, path: str) -> Path:
    """Return a file of the home; if it is not there, the one that ships with Rankway under this path."""
    own = home / path
    return own if own.exists() or not (PACKAGES / path).exists() else PACKAGES / path
