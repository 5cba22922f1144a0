"""Overlays: values that change over time for all requests (weather) or for the items in a cell (news, crowding).

An overlay is a series of snapshots, in memory or mapped from a folder with ``overlay.json``, ``times_s.npy`` and one
``.npy`` per feature. Its arrays never change. A newer folder is opened as a new overlay, which replaces the old
overlay. Training and serving read columns with ``OverlayColumns``. In training every list has its own time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.atomic_directory import written_whole
from models.errors import ArtifactError, FeatureMismatch
from models.features.definition import FeatureSet
from models.features.validation import expect_declared

INDEX = "overlay.json"


class OverlayIndex(BaseModel):
    """Content of ``overlay.json``. ``feature_hash`` covers the groups global and cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_hash: str
    globals: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Overlay:
    """T snapshots with C cells.

    Attributes:
        times_s: float64 (T,), ascending epoch seconds.
        globals: (T, ...) by feature name.
        cells: (T, C, ...) by feature name.
    """

    times_s: NDArray[np.float64]
    globals: Mapping[str, NDArray[Any]]
    cells: Mapping[str, NDArray[Any]]

    @classmethod
    def empty(cls) -> Self:
        """Return an overlay without snapshots, so that every feature has its default."""
        return cls(np.empty(0), {}, {})

    @classmethod
    def open(cls, root: Path, features: FeatureSet) -> Self:
        """Map the overlay at ``root`` into memory.

        Raises:
            ArtifactError: there is no overlay, or it cannot be read.
            FeatureMismatch: the overlay was written with other definitions.
        """
        path = root / INDEX
        if not path.is_file():
            raise ArtifactError(f"no overlay at {root}: {INDEX} is missing; write it first")
        try:
            index = OverlayIndex.model_validate(json.loads(path.read_text()))
            globals_, cells = (
                {name: np.load(root / f"{group}.{name}.npy", mmap_mode="r") for name in names}
                for group, names in (("global", index.globals), ("cell", index.cells))
            )
            times_s = np.load(root / "times_s.npy")
        except (ValidationError, OSError, EOFError, ValueError) as error:
            raise ArtifactError(f"overlay at {root} cannot be read: {error}; write it again") from error
        expected = features.hash_of("global", "cell")
        if index.feature_hash != expected:
            raise FeatureMismatch(
                f"overlay at {root}: written with feature hash {index.feature_hash}, but the global and cell features "
                f"of these definitions have {expected}; write it again with the current definitions"
            )
        overlay = cls(
            times_s,
            {n: np.asarray(v) for n, v in globals_.items()},
            {n: np.asarray(v) for n, v in cells.items()},
        )
        overlay.check(features)
        return overlay

    @property
    def cell_count(self) -> int:
        """Number of cells, 0 without cell features."""
        return next((values.shape[1] for values in self.cells.values() if values.ndim > 1), 0)

    def check(self, features: FeatureSet) -> None:
        """Check that all global and cell features are present, with the declared dtype and shape, and finite.

        Raises:
            ArtifactError: times do not ascend, or a feature is missing, has another dtype or shape, or is not finite.
        """
        if (
            self.times_s.ndim != 1
            or not np.isfinite(self.times_s).all()
            or (np.diff(self.times_s) <= 0).any()
        ):
            raise ArtifactError(
                "overlay: times_s must be finite and ascending; sort the snapshots and keep one per time"
            )
        snapshots = len(self.times_s)
        expect_declared("overlay", features, "global", self.globals, (snapshots,))
        expect_declared("overlay", features, "cell", self.cells, (snapshots, self.cell_count))

    def write(self, root: Path, features: FeatureSet) -> None:
        """Write the folder completely or not at all, and replace an existing folder.

        Raises:
            ArtifactError: the overlay does not pass ``check``.
        """
        self.check(features)
        index = OverlayIndex(
            feature_hash=features.hash_of("global", "cell"),
            globals=tuple(self.globals),
            cells=tuple(self.cells),
        )
        with written_whole(root) as staging:
            np.save(staging / "times_s.npy", self.times_s)
            for group, columns in (("global", self.globals), ("cell", self.cells)):
                for name, values in columns.items():
                    np.save(staging / f"{group}.{name}.npy", np.ascontiguousarray(values))
            (staging / INDEX).write_text(index.model_dump_json(indent=2) + "\n")
