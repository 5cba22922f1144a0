"""Derived features of a batch: each is a transform of another column."""

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.features.definition import PER_CANDIDATE, Feature, FeatureSet
from models.features.transforms import NOW, Transform, transformed
from models.ragged import Column, RaggedArray, RaggedBatch


class Derived(NamedTuple):
    """The plan for one derived feature.

    Attributes:
        per_candidate: whether the feature has one value per candidate.
        is_timed: whether the transform reads the request's time.
    """

    column: str
    transform: Transform
    dtype: np.dtype[Any]
    per_candidate: bool
    is_timed: bool

    @classmethod
    def of(cls, feature: Feature) -> "Derived":
        """Plan a feature with a transform."""
        transform = feature.transform
        assert transform is not None
        is_timed = NOW in transform.inputs
        return cls(
            feature.column, transform, np.dtype(feature.dtype), feature.group in PER_CANDIDATE, is_timed
        )

    def of_requests(self, columns: Mapping[str, Column], now_s: NDArray[np.float64] | None) -> Column:
        """Return the column for B requests at ``now_s`` (B,), from their other columns."""
        source = columns[self.transform.of]
        if not isinstance(source, RaggedArray):
            return self._of(source, now_s)
        if now_s is not None and self.is_timed and len(now_s) > 1:  # a single time fits all values
            now_s = now_s.repeat(source.lengths)
        return RaggedArray(self._of(source.values, now_s), source.offsets)

    def of_candidates(
        self, columns: Mapping[str, NDArray[Any]], batch: RaggedBatch, now_s: NDArray[np.float64] | None
    ) -> NDArray[Any]:
        """Return the column for the batch's N candidates, from their other columns."""
        if now_s is not None and self.is_timed and len(now_s) > 1:
            now_s = now_s.repeat(batch.lengths)
        return self._of(columns[self.transform.of], now_s)

    def _of(self, values: NDArray[Any], now_s: NDArray[np.float64] | None) -> NDArray[Any]:
        return transformed(self.transform, values, now_s).astype(self.dtype)


def with_sources(columns: Container[str], features: FeatureSet) -> frozenset[str]:
    """Return the features' columns that are in ``columns``, and those from which they are derived."""
    wanted = {feature.column for feature in features.features if feature.column in columns}
    for feature in reversed(features.derived):  # a feature is declared after the features that it reads
        if feature.column in wanted and feature.transform is not None:
            wanted.update(feature.transform.inputs)
    return frozenset(wanted)
