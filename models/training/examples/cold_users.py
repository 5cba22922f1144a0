"""Users without stored features, put among the training lists.

Data sets are made where every user is known; a service meets users whose positions of the last hours, or whose whole
row, its store does not have. A model that never saw one orders their lists badly (input dropout, by whole groups).
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
    """Give the batch in which a share of the requests, by group, has the defaults of that group's given features.

    The requests are drawn with ``seed``, for each group by itself. Call it before what follows from these is computed.
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
    lengths = np.diff(column.offsets)
    return RaggedArray(column.values[~np.repeat(unknown, lengths)], offsets_of(np.where(unknown, 0, lengths)))
