"""A training's folders and its results."""

from dataclasses import dataclass
from pathlib import Path

from models.artifact import Artifact
from models.features.catalogue import Catalogue
from models.features.timelines import ItemTimelines


@dataclass(frozen=True)
class TrainingFolders:
    """A training's folders. ``ranker``, ``reranker`` and ``distilled`` are artifacts, which are written.

    Attributes:
        data: the impressions ``train`` and ``valid``.
        overlay: the overlay with values that change between catalogues.
        timelines: the item columns as of earlier times. None: all columns are those of the catalogue.
    """

    catalogue: Path
    data: Path
    ranker: Path
    reranker: Path | None = None
    distilled: Path | None = None
    overlay: Path | None = None
    timelines: Path | None = None

    @property
    def read(self) -> list[Path]:
        """The folders that a training reads."""
        return [
            path for path in (self.data, self.catalogue, self.overlay, self.timelines) if path is not None
        ]

    def open_timelines(self, catalogue: Catalogue) -> ItemTimelines | None:
        """Open the timelines, if there are some.

        Raises:
            ArtifactError: they cannot be read, or do not fit the catalogue.
        """
        return None if self.timelines is None else ItemTimelines.open(self.timelines, catalogue)


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
