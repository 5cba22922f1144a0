"""The code and the packages that a step uses. If one of them changes, the step is executed again."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from models.code_identity import hash_of_code

_MODELS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Uses:
    """Code and packages that may change a result.

    Attributes:
        code: files and folders in ``models/``, such as "runtimes/onnx".
        packages: names of installed packages, such as "onnxruntime".
    """

    code: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *, code: Collection[str] = (), packages: Collection[str] = ()) -> "Uses":
        """Return the code and the packages with these names."""
        return cls(frozenset(code), frozenset(packages))

    def __or__(self, other: "Uses") -> "Uses":
        """Return the code and the packages of both."""
        return Uses(self.code | other.code, self.packages | other.packages)

    def identity(self) -> dict[str, Any]:
        """Return a hash of the code, and the versions of the packages.

        Raises:
            FileNotFoundError: ``code`` names nothing.
        """
        versions = {name: _version(name) for name in sorted(self.packages)}
        return {"code": hash_of_code(_files(sorted(self.code))), "packages": versions}


MODULES = Uses.of(
    code=("compress/steps/tuning", "compress/steps/pruning/single_weights.py"), packages=("torch", "onnx")
)
"""Loading, tuning and exporting modules for PyTorch. The code of trainings is part of every key."""

SCORES = Uses.of(
    code=(
        *("runtimes/onnx", "runtimes/trees", "runtimes/pytorch/eager.py"),
        *("runtimes/graph_inputs.py", "runtimes/checked_inputs.py"),
    ),
    packages=("onnxruntime",),
)
"""Scores of a model, computed by its runtime."""

TEXT = Uses.of(code=("text",), packages=("tokenizers",))
"""Lists of a text ranker."""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _files(names: Iterable[str]) -> list[Path]:
    files: set[Path] = set()
    for name in names:
        path = _MODELS / name
        files |= set(path.rglob("*.py")) if path.is_dir() else {path}
    return sorted(files)
