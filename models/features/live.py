"""Live item features: what changes of single items while the catalogue stands (a street closes, a shop sells out).

One value an item and feature, the present one: a folder of ``keys.npy`` (K,), ``live.<name>.npy`` (K, ...) and
``live.json``, written whole; items that it does not name have the defaults. It is of keys, not rows, so that it holds
for the next version of the catalogue too. A newer folder takes its place, as with overlays. It has no past: training
reads these features from a log of what was served, and has the defaults elsewhere.
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
from models.features.catalogue import Catalogue
from models.features.definition import Feature, FeatureSet
from models.features.validation import expect_declared

INDEX = "live.json"


class LiveIndex(BaseModel):
    """What ``live.json`` says. feature_hash: of the group live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_hash: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class LiveItems:
    """K items that something is known of. keys: int64 (K,), ascending; values: (K, ...) by feature name."""

    keys: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]

    @classmethod
    def none(cls, features: FeatureSet) -> Self:
        """Give what is known of no item."""
        known = {f.name: np.empty((0, *f.shape), f.dtype) for f in features.supplied("live")}
        return cls(np.empty(0, dtype=np.int64), known)

    @classmethod
    def open(cls, root: Path, features: FeatureSet) -> Self:
        """Read the folder at ``root``.

        Raises:
            ArtifactError: none there, or damaged. FeatureMismatch: made with other definitions.
        """
        path = root / INDEX
        if not path.is_file():
            raise ArtifactError(f"no live item features at {root}: {INDEX} is missing; write them first")
        try:
            index = LiveIndex.model_validate(json.loads(path.read_text()))
            live = cls(
                np.load(root / "keys.npy"),
                {name: np.load(root / f"live.{name}.npy") for name in index.features},
            )
        except (ValidationError, OSError, EOFError, ValueError) as error:
            raise ArtifactError(
                f"live item features at {root} cannot be read: {error}; write them again"
            ) from error
        wanted = features.hash_of("live")
        if index.feature_hash != wanted:
            raise FeatureMismatch(
                f"live item features at {root}: written with feature hash {index.feature_hash}, but these definitions "
                f"have {wanted}; write them again with the current definitions"
            )
        live.check(features)
        return live

    def check(self, features: FeatureSet) -> None:
        """See that it holds every live feature as it is defined, and numbers.

        Raises:
            ArtifactError: keys do not ascend; a feature is missing, of another dtype or shape, or not a number.
        """
        keys = self.keys
        if keys.ndim != 1 or keys.dtype != np.int64 or (np.diff(keys) <= 0).any():
            raise ArtifactError(
                "live item features: keys must be int64 and ascending; sort them, with one row per item"
            )
        expect_declared("live item features", features, "live", self.values, (len(keys),))

    def write(self, root: Path, features: FeatureSet) -> None:
        """Write it whole or not at all, replacing what is there.

        Raises:
            ArtifactError: as ``check``.
        """
        self.check(features)
        index = LiveIndex(feature_hash=features.hash_of("live"), features=tuple(self.values))
        with written_whole(root) as staging:
            np.save(staging / "keys.npy", self.keys)
            for name, values in self.values.items():
                np.save(staging / f"live.{name}.npy", np.ascontiguousarray(values))
            (staging / INDEX).write_text(index.model_dump_json(indent=2) + "\n")

    def setting(self, features: FeatureSet, name: str, keys: NDArray[np.int64], value: object) -> Self:
        """Give a copy in which feature ``name`` of the items ``keys`` is ``value``."""
        union = np.union1d(self.keys, keys)
        values = {}
        for feature in features.supplied("live"):
            of_all = np.tile(feature.default_value(), (len(union), *(1 for _ in feature.shape)))
            of_all[np.searchsorted(union, self.keys)] = self.values[feature.name]
            if feature.name == name:
                of_all[np.searchsorted(union, keys)] = value
            values[feature.name] = of_all
        return type(self)(union, values)


class LiveColumns:
    """Live item features by catalogue row, for one version of the catalogue."""

    def __init__(self, live: LiveItems, features: FeatureSet, catalogue: Catalogue) -> None:
        """Lay the known values out by row; items that the catalogue has not are passed over."""
        rows = catalogue.rows_of_keys(live.keys)
        known = rows >= 0
        self._columns: dict[str, NDArray[Any]] = {}
        for feature in features.supplied("live"):
            column = np.broadcast_to(feature.default_value(), (len(catalogue), *feature.shape))
            if known.any():
                column = column.copy()
                column[rows[known]] = live.values[feature.name][known]
            self._columns[feature.name] = column

    def columns(self, features: Sequence[Feature], rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Give "live.<name>" (N, ...) of the items ``rows`` (N,)."""
        return {feature.column: self._columns[feature.name].take(rows, axis=0) for feature in features}
