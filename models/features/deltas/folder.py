"""The folder with the deltas of a catalogue: ``<folder>/<identity of the catalogue>/000001.npz`` and so on.

Deltas belong to one catalogue, wherever a copy or a hard link of it lies, such as in a staged release.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from models.durable import remove_abandoned
from models.errors import ArtifactError
from models.features.catalogue import Catalogue
from models.features.deltas.delta import Delta, DeltaManifest, number_of
from models.features.deltas.grown import GrownCatalogue

_SUFFIX = ".npz"


class DeltaFolder:
    """The deltas of one catalogue.

    Attributes:
        root: the folder with the numbered files. It exists if there are deltas.
    """

    def __init__(self, root: Path) -> None:
        """Keep the path."""
        self.root = root

    @classmethod
    def of(cls, catalogue: Catalogue, folder: Path) -> Self:
        """Return the deltas of a catalogue in a folder that may have those of several catalogues."""
        return cls(folder / catalogue.identity)

    def path(self, number: int) -> Path:
        """Return the path of one delta."""
        return self.root / f"{number:06d}{_SUFFIX}"

    def next_path(self, catalogue: Catalogue) -> Path:
        """Return the path of the delta that follows a catalogue's state."""
        return self.path(number_of(catalogue.state) + 1)

    def numbers(self) -> Sequence[int]:
        """Return the numbers of all deltas."""
        names = [path.name.removesuffix(_SUFFIX) for path in self.root.glob(f"*{_SUFFIX}")]
        return sorted(int(name) for name in names if name.isdecimal())

    def append(self, catalogue: Catalogue, delta: Delta) -> DeltaManifest:
        """Write the delta that follows a catalogue's state. The caller holds a lock against other writers.

        Raises:
            OSError: the file cannot be written.
        """
        manifest = delta.manifest(catalogue.state, catalogue.manifest.feature_hash)
        self.root.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.root)
        delta.write(self.next_path(catalogue), manifest)
        return manifest

    def applied(self, catalogue: Catalogue) -> Catalogue:
        """Return the catalogue with all deltas that follow its state.

        Raises:
            ArtifactError: a delta is missing or damaged, or does not fit the catalogue.
        """
        deltas, done = [], number_of(catalogue.state)
        while (path := self.path(done + 1)).is_file():
            deltas.append(Delta.read(path))
            done += 1
        numbers = self.numbers()
        if numbers and numbers[-1] > done:
            raise ArtifactError(
                f"delta {path} is missing, but there is number {numbers[-1]}; copy all deltas from where they were made"
            )
        return GrownCatalogue(catalogue, deltas) if deltas else catalogue


def open_grown(root: Path, deltas: Path) -> Catalogue:
    """Open the catalogue at ``root`` with its deltas from the folder ``deltas``.

    Raises:
        ArtifactError: the catalogue or a delta cannot be used.
    """
    catalogue = Catalogue.open(root)
    return DeltaFolder.of(catalogue, deltas).applied(catalogue) if deltas.is_dir() else catalogue
