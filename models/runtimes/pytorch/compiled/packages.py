"""The compiled packages of an artifact, in a folder beside it.

``walks/models/ranker`` is the artifact. ``walks/models/ranker.compiled/<key>/`` is a package: ``model.pt2`` with the
native code, ``constants.safetensors`` with tensors that the architecture computes, and ``package.yaml``. The weights
stay in the artifact, which is never changed.

A mixed cluster that shares one disk has a package for each kind of CPU.
"""

import hashlib
import shutil
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from models.artifact import Artifact, sha256_of
from models.atomic_directory import settled
from models.errors import RuntimeFailure
from models.runtimes.pytorch.compiled.target import Target

CODE = "model.pt2"
CONSTANTS = "constants.safetensors"
MANIFEST = "package.yaml"
_BESIDE = ".compiled"
_REMEDY = "run rankway models compile CONFIG on this machine"


class Package(BaseModel):
    """Content of ``package.yaml``.

    Attributes:
        artifact: version of the artifact.
        compiler: the C++ compiler and its version. Another one makes other code, but this code still runs.
        files: sha256 by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: str
    target: Target
    compiler: str
    files: dict[str, str]


def folder_of(root: Path, artifact: Artifact, target: Target) -> Path:
    """Return the folder of the artifact's package for a target, whether it exists or not."""
    key = hashlib.sha256(target.model_dump_json().encode()).hexdigest()[:8]
    return _beside(root) / f"{artifact.version}-{key}"


def packages_of(root: Path) -> dict[Path, Package]:
    """Return the packages beside the artifact at ``root``, by their folders. Those that cannot be read are left out."""
    found = {}
    for path in sorted(_beside(root).glob(f"*/{MANIFEST}")):
        try:
            found[path.parent] = _read(path)
        except RuntimeFailure:
            continue
    return found


def find_package(root: Path, artifact: Artifact, target: Target) -> Path:
    """Return the folder of the artifact's verified package for a target.

    Raises:
        RuntimeFailure: there is no package for this version and target, or it is damaged.
    """
    folder = settled(folder_of(root, artifact, target))
    if not folder.is_dir():
        raise RuntimeFailure(
            f"runtime.mode: aot needs a package of {artifact.name} {artifact.version} for this machine, got "
            f"{_others(root, artifact, target)}; {_REMEDY}"
        )
    package = _read(folder / MANIFEST)
    if package.artifact != artifact.version or package.target != target:
        differences = target.differences(package.target) or [f"version {package.artifact}"]
        raise RuntimeFailure(
            f"{folder}: the package was compiled for {'; '.join(differences)}, and was renamed; {_REMEDY}"
        )
    for name in (CODE, CONSTANTS):
        path, expected = folder / name, package.files.get(name, "")
        if not path.is_file() or sha256_of(path) != expected:
            raise RuntimeFailure(
                f"{path}: must have the sha256 {expected[:12]}…, but the file is missing or damaged; remove "
                f"{folder}, and {_REMEDY}"
            )
    return folder


def is_current(root: Path, artifact: Artifact, target: Target, compiler: str) -> bool:
    """Return whether the artifact has an undamaged package for a target from this compiler."""
    try:
        return _read(find_package(root, artifact, target) / MANIFEST).compiler == compiler
    except RuntimeFailure:
        return False


def remove_old_versions(root: Path, artifact: Artifact) -> None:
    """Remove the packages of other versions of the artifact. Its files were replaced, so nothing can load them."""
    for folder, package in packages_of(root).items():
        if package.artifact != artifact.version:
            shutil.rmtree(folder)


def _beside(root: Path) -> Path:
    return root.with_name(root.name + _BESIDE)


def _read(path: Path) -> Package:
    try:
        return Package.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise RuntimeFailure(
            f"{path}: cannot be read: {reason}; remove {path.parent}, and {_REMEDY}"
        ) from error


def _others(root: Path, artifact: Artifact, target: Target) -> str:
    """Return how the packages that exist differ."""
    packages = packages_of(root).values()
    current = [
        target.differences(package.target) for package in packages if package.artifact == artifact.version
    ]
    if current:
        return "one for " + "; and for ".join(sorted(current, key=lambda found: (len(found), found))[0])
    versions = sorted({package.artifact for package in packages})
    return f"only packages of the versions {', '.join(versions)}" if versions else "none"
