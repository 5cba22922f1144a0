"""Overlays: what changes over time for everybody (weather) or for the items of a cell (news, crowding).

An overlay is a series of snapshots, in memory or mapped from a folder: ``overlay.json`` beside one ``.npy`` a feature.
Its arrays never change; a newer folder is opened beside it and takes its place. ``global_columns`` and
``cell_columns`` read it for training, where every list has its own moment, and for serving.
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
    """What ``overlay.json`` says. feature_hash: of the groups global and cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_hash: str
    globals: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Overlay:
    """T snapshots of C cells. times_s: ascending epoch seconds; globals: (T, ...); cells: (T, C, ...)."""

    times_s: NDArray[np.float64]
    globals: Mapping[str, NDArray[Any]]
    cells: Mapping[str, NDArray[Any]]

    @classmethod
    def empty(cls) -> Self:
        """Give an overlay that knows nothing: every feature has its default."""
        return cls(np.empty(0), {}, {})

    @classmethod
    def open(cls, root: Path, features: FeatureSet) -> Self:
        """Map the overlay at ``root``.

        Raises:
            ArtifactError: none there, or not of this layout. FeatureMismatch: made with other definitions.
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
        wanted = features.hash_of("global", "cell")
        if index.feature_hash != wanted:
            raise FeatureMismatch(
                f"overlay at {root}: written with feature hash {index.feature_hash}, but the global and cell features "
                f"of these definitions have {wanted}; write it again with the current definitions"
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
        """Number of cells, 0 where no feature has any."""
        return next((values.shape[1] for values in self.cells.values() if values.ndim > 1), 0)

    def check(self, features: FeatureSet) -> None:
        """See that it holds every global and cell feature as it is defined, and numbers.

        Raises:
            ArtifactError: a feature is missing, of another dtype or shape, or not a number; times do not ascend.
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
        """Write it whole or not at all, replacing one that is there.

        Raises:
            ArtifactError: as ``check``.
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
        """Give "global.<name>" (B, ...) of B moments: of the newest snapshot at or before each.

        Where there is none, or it is stale, stands the default.
        """
        snapshot = self._snapshots(now_s)
        missing = self._missing(features, snapshot, now_s)
        return {
            f.column: _taken(f, self.globals.get(f.name), snapshot, missing[f.fresh_for_s]) for f in features
        }

    def cell_columns(
        self,
        features: Sequence[Feature],
        now_s: NDArray[np.float64],
        cell: NDArray[np.int64],
        request_of: NDArray[np.int64],
    ) -> dict[str, NDArray[Any]]:
        """Give "cell.<name>" (N, ...): of the cell (N,) of each candidate, at the moment of its request.

        now_s: (B,), request_of: (N,). The default stands where ``global_columns`` has it, and outside all cells.
        """
        count = self.cell_count
        snapshot = self._snapshots(now_s)
        missing = self._missing(features, snapshot, now_s)
        at = (snapshot * count)[request_of] + cell
        outside = (cell < 0) | (cell >= count)
        inside = not outside.any()
        columns: dict[str, NDArray[Any]] = {}
        lacking: dict[float | None, NDArray[np.bool_] | None] = {}
        for limit, of_request in missing.items():
            of_candidate = None if of_request is None else of_request[request_of]
            if not inside:
                of_candidate = outside if of_candidate is None else of_candidate | outside
            lacking[limit] = of_candidate
        for feature in features:
            values = self.cells.get(feature.name)
            flat = None if values is None else values.reshape(-1, *values.shape[2:])  # a view
            columns[feature.column] = _taken(feature, flat, at, lacking[feature.fresh_for_s])
        return columns

    def _snapshots(self, now_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Give, for each moment (B,), the newest snapshot at or before it, -1 for none."""
        return np.searchsorted(self.times_s, now_s, side="right") - 1

    def _missing(
        self, features: Sequence[Feature], snapshot: NDArray[np.int64], now_s: NDArray[np.float64]
    ) -> dict[float | None, NDArray[np.bool_] | None]:
        """Give, by freshness limit, which moments (B,) have nothing; None where all have something."""
        known: dict[float | None, NDArray[np.bool_] | None] = {}
        none = snapshot < 0
        for limit in {feature.fresh_for_s for feature in features}:
            missing = none
            if limit is not None and len(self.times_s):
                missing = none | (now_s - self.times_s[snapshot] > limit)
            known[limit] = missing if missing.any() else None
        return known


def _taken(
    feature: Feature,
    values: NDArray[Any] | None,
    at: NDArray[np.int64],
    missing: NDArray[np.bool_] | None,
) -> NDArray[Any]:
    """Give values[at], with the default where ``missing``; the default alone where there are no values."""
    if values is None or len(values) == 0:
        return _default(feature, len(at))
    if missing is None:
        return values.take(at, axis=0)
    result = _default(feature, len(at))
    here = ~missing
    result[here] = values.take(at[here], axis=0)
    return result


def _default(feature: Feature, count: int) -> NDArray[Any]:
    value = feature.default_value()
    return np.broadcast_to(value, (count, *value.shape)).copy()
