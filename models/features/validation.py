"""Check arrays against the feature definitions.

Overlays and live item features use it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.features.definition import FeatureSet, Group


def expect_declared(
    label: str,
    features: FeatureSet,
    group: Group,
    columns: Mapping[str, NDArray[Any]],
    leading: Sequence[int],
) -> None:
    """Check that the columns are the supplied features of a group, with their dtype and shape, and finite.

    Args:
        label: name of the data for the error message.
        features: the definitions.
        group: group of the features.
        columns: arrays by feature name.
        leading: leading axes of each array, before the shape of the feature.

    Raises:
        ArtifactError: a feature is missing or not declared, has another dtype or shape, or is not finite.
    """
    declared = {f.name: f for f in features.supplied(group)}
    if set(declared) != set(columns):
        raise ArtifactError(
            f"{label}: {group} features must be those of the definitions, {sorted(declared)}, got {sorted(columns)}"
        )
    for name, feature in declared.items():
        values, shape = columns[name], (*leading, *feature.shape)
        if values.shape != shape or values.dtype != feature.dtype:
            raise ArtifactError(
                f"{label}: {feature.column} must be {feature.dtype} of shape {shape}, got {values.dtype} of shape "
                f"{values.shape}"
            )
        if not np.isfinite(values).all():
            raise ArtifactError(
                f"{label}: {feature.column} contains NaN or infinity; fill gaps with its default"
            )
