"""Live item features: values that change for single items while the catalogue stays the same, such as a closed street.

There is one current value per item and feature, in a folder with ``keys.npy`` (K,), ``live.<name>.npy`` (K, ...) and
``live.json``. The folder is written completely or not at all. Items that are not listed there have the defaults. The
folder has keys instead of rows, so it is also valid for the next catalogue version. A newer folder replaces an older
one, as for overlays. Old values are not stored. Training reads these features from the served log, and uses the
defaults if the data come from elsewhere.
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
    """Content of ``live.json``. ``feature_hash`` covers the group live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_hash: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class LiveItems:
    """The K items with live values.

    Attributes:
        keys: int64 (K,), ascending item keys.
        values: (K, ...) by feature name.
    """

    keys: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]

    @classmethod
    def none(cls, features: FeatureSet) -> Self:
        """Return live features without items, so that all items have the defaults."""
        values = {f.name: np.empty((0, *f.shape), f.dtype) for f in features.supplied("live")}
        return cls(np.empty(0, dtype=np.int64), values)

    @classmethod
    def open(cls, root: Path, features: FeatureSet) -> Self:
        """Read the folder at ``root``.

        Raises:
            ArtifactError: the folder is missing or damaged.
            FeatureMismatch: the folder was written with other definitions.
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
        expected = features.hash_of("live")
        if index.feature_hash != expected:
            raise FeatureMismatch(
                f"live item features at {root}: written with feature hash {index.feature_hash}, but these definitions "
                f"have {expected}; write them again with the current definitions"
            )
        live.check(features)
        return live

    def check(self, features: FeatureSet) -> None:
        """Check that all live features are present, with the declared dtype and shape, and finite.

        Raises:
            ArtifactError: keys do not ascend, or a feature is missing, has another dtype or shape, or is not finite.
        """
        keys = self.keys
        if keys.ndim != 1 or keys.dtype != np.int64 or (np.diff(keys) <= 0).any():
            raise ArtifactError(
                "live item features: keys must be int64 and ascending; sort them, with one row per item"
            )
        expect_declared("live item features", features, "live", self.values, (len(keys),))

    def write(self, root: Path, features: FeatureSet) -> None:
        """Write the folder completely or not at all, and replace an existing folder.

        Raises:
            ArtifactError: the features do not pass ``check``.
        """
        self.check(features)
        index = LiveIndex(feature_hash=features.hash_of("live"), features=tuple(self.values))
        with written_whole(root) as staging:
            np.save(staging / "keys.npy", self.keys)
            for name, values in self.values.items():
                np.save(staging / f"live.{name}.npy", np.ascontiguousarray(values))
            (staging / INDEX).write_text(index.model_dump_json(indent=2) + "\n")

    def setting(self, features: FeatureSet, name: str, keys: NDArray[np.int64], value: object) -> Self:
        """Return a copy in which feature ``name`` is ``value`` for the items ``keys``."""
        union = np.union1d(self.keys, keys)
        values = {}
        for feature in features.supplied("live"):
            column = np.tile(feature.default_value(), (len(union), *(1 for _ in feature.shape)))
            column[np.searchsorted(union, self.keys)] = self.values[feature.name]
            if feature.name == name:
                column[np.searchsorted(union, keys)] = value
            values[feature.name] = column
        return type(self)(union, values)


class LiveColumns:
    """Live item features by row in one catalogue version."""

    def __init__(self, live: LiveItems, features: FeatureSet, catalogue: Catalogue) -> None:
        """Copy the values into columns by row. Items that are not in the catalogue are ignored."""
        rows = catalogue.rows_of_keys(live.keys)
        present = rows >= 0
        # Batches that began before a delta may still have rows that are dead now. Their items are as closed as before.
        dead = catalogue.dead
        dead_keys = np.asarray(catalogue.keys[dead])
        places = np.searchsorted(live.keys, dead_keys).clip(max=max(0, len(live.keys) - 1))
        is_live = live.keys[places] == dead_keys if len(live.keys) else np.zeros(len(dead), dtype=np.bool_)
        self._columns: dict[str, NDArray[Any]] = {}
        """Empty if no item of the catalogue has a live value."""
        if not present.any() and not is_live.any():
            return
        for feature in features.supplied("live"):
            column = feature.default_values(len(catalogue))
            column[rows[present]] = live.values[feature.name][present]
            column[dead[is_live]] = live.values[feature.name][places[is_live]]
            self._columns[feature.name] = column

    def columns(self, features: Sequence[Feature], rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the columns "live.<name>" (N, ...) for the items in ``rows`` (N,)."""
        if not self._columns:
            return {feature.column: feature.default_values(len(rows)) for feature in features}
        return {feature.column: self._columns[feature.name].take(rows, axis=0) for feature in features}
