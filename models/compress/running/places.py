"""A recipe's folder, and a step's places in it.

A child is written and judged in the scratch folder. Then it is moved to its place by one rename. So readers of that
place never see half a model, or one that was not judged.
"""

import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from models.artifact import Artifact
from models.atomic_directory import put, recover
from models.compress.steps.base import Model
from models.errors import ArtifactError, CompressionError

_REJECTED = "rejected"
_STEP = re.compile(r"\d{2,}-")


def recipe_folder(
    out: str, home: Path, read: Mapping[str, Path], served: Mapping[str, Path] = MappingProxyType({})
) -> Path:
    """Return a recipe's folder.

    Args:
        out: the recipe's field.
        home: the data home.
        read: the folders that the recipe may not overlap, by description.
        served: the models of the pipeline, by description. They may be earlier results of the recipe.

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
    for what, path in (*read.items(), *served.items()):
        other = path.resolve()
        is_result = what in served and _is_result(other, folder)
        if folder.is_relative_to(other) or (other.is_relative_to(folder) and not is_result):
            raise CompressionError(f"out: overlaps {what} in {path}, got {out!r}; name another folder")
    return home / out


def _is_result(path: Path, folder: Path) -> bool:
    """Return whether a path is that of a step's artifact in a recipe's folder."""
    branch = path.parent.parent if path.parent.name == _REJECTED else path.parent
    return branch.parent == folder and _STEP.match(path.name) is not None


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
        """The folder of the last accepted artifact. A pipeline may serve it."""
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
    def traceback(self) -> Path:
        """The file with the traceback of an unexpected error."""
        return self.branch / f"{self.name}.error.txt"

    @property
    def scratch(self) -> Path:
        """The folder of an unfinished step. A later run continues with what is in it."""
        return self.branch / f"{self.name}.scratch"

    @property
    def checkpoints(self) -> Path:
        """The folder for the step's own checkpoints."""
        return self.scratch / "checkpoints"

    @property
    def made(self) -> Path:
        """The artifact's folder before it is judged."""
        return self.scratch / "child"

    def found(self, version: str) -> Model | None:
        """Return the step's undamaged artifact of this version, judged or not, if there is one."""
        for root in (self.made, self.accepted, self.rejected):
            recover(root)
            try:
                artifact = Artifact.load(root)
            except ArtifactError:
                continue
            if artifact.version == version:
                return Model(root, artifact)
        return None

    def accepted_version(self) -> str | None:
        """Return the version of the artifact in the accepted folder. None: it has none."""
        try:
            return Artifact.read(self.accepted).version
        except ArtifactError:
            return None

    def judged(self, child: Model, *, is_accepted: bool) -> Model:
        """Move an artifact to the folder in which it belongs, by one rename, and end the step.

        The accepted folder keeps its artifact until another accepted one replaces it, because a pipeline may serve it.
        So an artifact that was accepted before stays there too if it is rejected now.

        Returns:
            The artifact in its new folder. The old content of this folder is removed.

        Raises:
            OSError: it cannot be moved.
        """
        target = self.accepted if is_accepted or child.root == self.accepted else self.rejected
        if child.root != target:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.scratch.mkdir(exist_ok=True)
            put(child.root, target, self.scratch)
        if target != self.rejected and self.rejected.exists():
            # It is moved first, so that a killed run leaves no half of it.
            self.scratch.mkdir(exist_ok=True)
            self.rejected.rename(self.scratch / f"{secrets.token_hex(8)}.removed")
        self.traceback.unlink(missing_ok=True)
        self.end()
        return Model(target, child.artifact)

    def end(self) -> None:
        """Remove everything that only an unfinished step needs."""
        shutil.rmtree(self.scratch, ignore_errors=True)
