"""Treats some users in the training lists as unknown: input dropout by whole feature groups.

In a data set every user is known. A service's feature store lacks some users' recent positions, or their whole row. A
model that was never trained on such users orders their lists badly.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.features.definition import FeatureSet
from models.features.rows import KeyedGroup
from models.ragged import Column, RaggedArray, RaggedBatch, offsets_of


def some_unknown(
    batch: RaggedBatch, features: FeatureSet, shares: Mapping[KeyedGroup, float], seed: int
) -> RaggedBatch:
    """Return the batch with some requests treated as unknown users.

    Their stored features in the groups get default values. Call this function before derived features are computed.

    Args:
        batch: the lists.
        features: the feature definitions.
        shares: share of requests by feature group. Each group's requests are drawn independently.
        seed: seed for the draws.
    """
    requests: dict[str, Column] = dict(batch.requests)
    for number, (group, share) in enumerate(sorted(shares.items())):
        unknown = np.random.default_rng((seed, number)).random(len(batch)) < share
        for feature in features.supplied(group):
            column = requests.get(feature.column)
            if isinstance(column, RaggedArray):
                requests[feature.column] = _emptied(column, unknown)
            elif column is not None:
                values = np.array(column)
                values[unknown] = feature.default_value()
                requests[feature.column] = values
    return batch.adding(requests=requests)


def _emptied(column: RaggedArray, unknown: NDArray[np.bool_]) -> RaggedArray:
    lengths = column.lengths
    return RaggedArray(column.values[~np.repeat(unknown, lengths)], offsets_of(np.where(unknown, 0, lengths)))
