"""The home: the directory that a pipeline's data paths are relative to. Imports nothing heavy."""

import os
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent


def home_directory() -> Path:
    """Give ``$RANKWAY_HOME``, or ``.rankway`` in the repository."""
    given = os.environ.get("RANKWAY_HOME")
    return Path(given).absolute() if given else _REPOSITORY / ".rankway"
