"""The home: the directory that a pipeline's data paths are relative to. Imports nothing heavy."""

import os
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent


def home_directory() -> Path:
    """Give ``$RANKWAY_HOME``, or ``.rankway`` in the repository."""
    given = os.environ.get("RANKWAY_HOME")
    return Path(given).absolute() if given else _REPOSITORY / ".rankway"


def shipped(home: Path, path: str) -> Path:
    """Give a file of the home; where that lacks it, the one that ships with the repository under this path."""
    own = home / path
    return own if own.exists() or not (_REPOSITORY / path).exists() else _REPOSITORY / path
