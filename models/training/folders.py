"""A training's folders and its results."""

from dataclasses import dataclass
from pathlib import Path

from models.artifact import Artifact


@dataclass(frozen=True)
class TrainingFolders:
    """A training's folders. ``ranker``, ``reranker`` and ``distilled`` are artifacts, which are written.

    Attributes:
        data: the impressions ``train`` and ``valid``.
        overlay: the overlay with values that change between catalogues.
    """

    catalogue: Path
    data: Path
    ranker: Path
    reranker: Path | None = None
    distilled: Path | None = None
    overlay: Path | None = None


@dataclass(frozen=True)
class Trained:
    """A trained artifact.

    Attributes:
        artifact: the manifest.
        root: the folder.
        fresh: whether it was trained in this run. False: it was up to date.
    """

    artifact: Artifact
    root: Path
    fresh: bool
