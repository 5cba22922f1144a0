"""Lineage: hashes of everything that a model is made from. If they are equal, training again changes nothing."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.artifact import Artifact, sha256_of
from models.code_identity import hash_of_code
from models.errors import ArtifactError

_CODE = Path(__file__).resolve().parent.parent
_SINGLE_FILES = (
    *("assembly.py", "input_sources.py", "padding.py", "runtimes/golden.py", "signature.py"),
    "vectors.py",
)


def hash_of_data(folders: Sequence[Path]) -> str:
    """Hash all file names and contents in the folders. Return 16 hex digits."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(folder)} {sha256_of(path)}\n".encode())
    return digest.hexdigest()[:16]


def hash_of_training_code() -> str:
    """Hash the code that determines a training's result. Return 16 hex digits."""
    folders = [_CODE / "training", _CODE / "architectures", _CODE / "features"]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    files += [_CODE / name for name in _SINGLE_FILES]
    return hash_of_code(files)


def hash_of(parts: dict[str, Any]) -> str:
    """Hash JSON values. Return 16 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def already_trained(root: Path, key: str) -> Artifact | None:
    """Return the artifact at ``root`` if it is undamaged and has this lineage key, else None."""
    try:
        artifact = Artifact.load(root)
    except ArtifactError:
        return None
    return artifact if artifact.lineage.get("key") == key else None
