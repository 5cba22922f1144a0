"""Check arrays against the feature definitions, for overlays and live item features."""

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
    """Check that the columns are a group's supplied features, have the declared dtypes and shapes, and are finite.

    Args:
        label: name of the data for the error message.
        features: the definitions.
        group: feature group.
        columns: arrays by feature name.
        leading: leading axes of each array, before the feature's shape.

    Raises:
        ArtifactError: a feature is missing or not declared, has another dtype or shape, or is not finite.
    """
    declared = {f.name: f for f in features.supplied(group)}
    if set(declared) != set(columns):
        raise ArtifactError(
            f"{label}: {group} features must be exactly {sorted(declared)}, got {sorted(columns)}; write "
            f"exactly the declared features"
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
                f"{label}: {feature.column} contains NaN or infinity; fill gaps with the feature's default"
            )
