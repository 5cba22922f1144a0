"""Stored values with a freshness limit: each needs a time, and a stale value counts as missing."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.features.definition import Feature
from models.ragged import Column, RaggedArray, offsets_of


def time_of(feature: Feature, at_s: Mapping[str, float]) -> float:
    """Return the time of a feature's value, from times by feature name.

    Raises:
        ValueError: the feature has no time.
    """
    if feature.name not in at_s:
        raise ValueError(
            f"at_s: has no time for {feature.column}, whose fresh_for_s requires a time; add the time in epoch seconds"
        )
    return at_s[feature.name]


def without_stale(feature: Feature, column: Column, age_s: NDArray[np.float64]) -> Column:
    """Replace a feature's stale values by the default, in place if they have a fixed shape.

    Args:
        feature: a feature with ``fresh_for_s``.
        column: B values.
        age_s: (B,), their ages in seconds.
    """
    assert feature.fresh_for_s is not None
    stale = age_s > feature.fresh_for_s
    if not stale.any():
        return column
    if isinstance(column, RaggedArray):
        lengths = np.where(stale, 0, column.lengths)
        return RaggedArray(column.values[np.repeat(~stale, column.lengths)], offsets_of(lengths))
    column[stale] = feature.default_value()
    return column
