"""A recipe's folder, and a step's places in it: its artifact, its record, and checkpoints of an unfinished run."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.artifact import Artifact
from models.atomic_directory import recover
from models.compress.steps.base import Model
from models.errors import ArtifactError, CompressionError

_REJECTED = "rejected"


def recipe_folder(out: str, home: Path, read: Mapping[str, Path]) -> Path:
    """Return a recipe's folder.

    Args:
        out: the recipe's field.
        home: the data home.
        read: the folders that the recipe reads, by description.

    Raises:
        CompressionError: the folder overlaps one of them, lies outside the home, or is or lies under a file.
    """
    inside, folder = home.resolve(), (home / out).resolve()
    if folder == inside or not folder.is_relative_to(inside):
        raise CompressionError(f"out: must be a folder in the home {home}, got {out!r}; name another folder")
    file = next((path for path in (folder, *folder.parents) if path.is_file()), None)
    if file is not None:
        raise CompressionError(
            f"out: must be a folder, but {file} is a file, got {out!r}; name another folder"
        )
    for what, path in read.items():
        other = path.resolve()
        if folder.is_relative_to(other) or other.is_relative_to(folder):
            raise CompressionError(f"out: overlaps {what} in {path}, got {out!r}; name another folder")
    return home / out


@dataclass(frozen=True, slots=True)
class StepFolder:
    """The places of one step.

    Attributes:
        branch: the branch's folder.
        name: the step's name in its branch, such as "02-quantize".
    """

    branch: Path
    name: str

    @property
    def accepted(self) -> Path:
        """The artifact's folder, unless it was rejected."""
        return self.branch / self.name

    @property
    def rejected(self) -> Path:
        """The folder of a rejected artifact."""
        return self.branch / _REJECTED / self.name

    @property
    def record(self) -> Path:
        """The file with the step's record."""
        return self.branch / f"{self.name}.json"

    @property
    def scratch(self) -> Path:
        """The folder for checkpoints."""
        return self.branch / f"{self.name}.scratch"

    def found(self, version: str) -> Model | None:
        """Return the step's undamaged artifact of this version, accepted or rejected, if there is one."""
        for root in (self.accepted, self.rejected):
            recover(root)
            try:
                artifact = Artifact.load(root)
            except ArtifactError:
                continue
            if artifact.version == version:
                return Model(root, artifact)
        return None

    def judged(self, child: Model, *, is_accepted: bool) -> Model:
        """Move an artifact to the folder in which it belongs, and return it with that folder.

        Raises:
            OSError: it cannot be moved.
        """
        target = self.accepted if is_accepted else self.rejected
        if child.root != target:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            child.root.rename(target)
        elif not is_accepted:
            shutil.rmtree(self.accepted, ignore_errors=True)
        return Model(target, child.artifact)

    def clear_scratch(self) -> None:
        """Remove the checkpoints."""
        shutil.rmtree(self.scratch, ignore_errors=True)
