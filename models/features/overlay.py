"""Overlays: values that change over time for all requests (weather) or for the items in a cell (news, crowding).

An overlay is a series of snapshots, in memory or mapped from a folder with ``overlay.json``, ``times_s.npy`` and one
``.npy`` per feature. Its arrays never change. A newer folder is opened as a new overlay, which replaces the old
overlay. Training and serving read columns with ``global_columns`` and ``cell_columns``. In training every list has its
own time.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.atomic_directory import written_whole
from models.errors import ArtifactError, FeatureMismatch
from models.features.definition import Feature, FeatureSet
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

    def global_columns(
        self, features: Sequence[Feature], now_s: NDArray[np.float64]
    ) -> dict[str, NDArray[Any]]:
        """Return the columns "global.<name>" (B, ...) for B times.

        Each row comes from the newest snapshot at or before its time. The row is the default if there is no such
        snapshot, or if the snapshot is older than ``fresh_for_s``.
        """
        snapshot = self._snapshots(now_s)
        missing = self._missing(features, snapshot, now_s)
        return {
            f.column: _select(f, self.globals.get(f.name), snapshot, missing[f.fresh_for_s]) for f in features
        }

    def cell_columns(
        self,
        features: Sequence[Feature],
        now_s: NDArray[np.float64],
        cell: NDArray[np.int64],
        request_of: NDArray[np.int64],
    ) -> dict[str, NDArray[Any]]:
        """Return the columns "cell.<name>" (N, ...) for N candidates in B requests.

        Rows are the default for the same reasons as in ``global_columns``, and for candidates outside all cells.

        Args:
            features: cell features.
            now_s: float64 (B,), epoch seconds.
            cell: int64 (N,), the candidate's cell.
            request_of: int64 (N,), the candidate's request.
        """
        count = self.cell_count
        snapshot = self._snapshots(now_s)
        missing = self._missing(features, snapshot, now_s)
        index = (snapshot * count)[request_of] + cell
        outside = (cell < 0) | (cell >= count)
        all_inside = not outside.any()
        columns: dict[str, NDArray[Any]] = {}
        masks: dict[float | None, NDArray[np.bool_] | None] = {}
        for limit, request_mask in missing.items():
            candidate_mask = None if request_mask is None else request_mask[request_of]
            if not all_inside:
                candidate_mask = outside if candidate_mask is None else candidate_mask | outside
            masks[limit] = candidate_mask
        for feature in features:
            values = self.cells.get(feature.name)
            flat = None if values is None else values.reshape(-1, *values.shape[2:])  # a view
            columns[feature.column] = _select(feature, flat, index, masks[feature.fresh_for_s])
        return columns

    def _snapshots(self, now_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the index of the newest snapshot at or before each time (B,), or -1 if there is none."""
        return np.searchsorted(self.times_s, now_s, side="right") - 1

    def _missing(
        self, features: Sequence[Feature], snapshot: NDArray[np.int64], now_s: NDArray[np.float64]
    ) -> dict[float | None, NDArray[np.bool_] | None]:
        """Return masks (B,) by ``fresh_for_s``, True for times without a fresh snapshot. None if all times have one."""
        masks: dict[float | None, NDArray[np.bool_] | None] = {}
        no_snapshot = snapshot < 0
        for limit in {feature.fresh_for_s for feature in features}:
            missing = no_snapshot
            if limit is not None and len(self.times_s):
                missing = no_snapshot | (now_s - self.times_s[snapshot] > limit)
            masks[limit] = missing if missing.any() else None
        return masks


def _select(
    feature: Feature,
    values: NDArray[Any] | None,
    index: NDArray[np.int64],
    missing: NDArray[np.bool_] | None,
) -> NDArray[Any]:
    """Return ``values[index]``, with the default for missing rows, or for all rows if there are no values."""
    if values is None or len(values) == 0:
        return _default(feature, len(index))
    if missing is None:
        return values.take(index, axis=0)
    result = _default(feature, len(index))
    present = ~missing
    result[present] = values.take(index[present], axis=0)
    return result


def _default(feature: Feature, count: int) -> NDArray[Any]:
    value = feature.default_value()
    return np.broadcast_to(value, (count, *value.shape)).copy()
