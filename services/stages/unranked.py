"""The order of a pipeline without a ranker: by popularity, or the order in which the candidates came."""

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.features.sent import UNKNOWN
from models.ragged import RaggedBatch
from services.stages.base import Stage
from services.stages.popular import PopularConfig, popularity, popularity_of


def unranked_stage(popular: PopularConfig | None, catalogue: Catalogue) -> Stage:
    """Return the stage that stands in for the ranker. It adds the same columns.

    Args:
        popular: how popular items are found. None: the candidates keep their order.
        catalogue: the items.

    Raises:
        ConfigError: the catalogue has no such column with one number per item.
    """
    return GivenStage() if popular is None else PopularStage(popular, catalogue)


class PopularStage:
    """The score is the item's popularity. Equally popular items keep their order."""

    name = "popular"

    def __init__(self, config: PopularConfig, catalogue: Catalogue) -> None:
        """Read the popularity of all items.

        Raises:
            ConfigError: the catalogue has no such column with one number per item.
        """
        known = popularity(config, catalogue, "popular.column")
        finite = known[np.isfinite(known)]
        # An item without popularity is as unpopular as the least popular one: an answer has finite scores only.
        self._low, self._high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        self._column, self._scores = config.column, self._finite(known)

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Look the scores up."""
        scores = popularity_of(batch, self._column, self._scores)
        return _scored(batch, scores if UNKNOWN not in batch.candidates else self._finite(scores))

    def _finite(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.nan_to_num(scores, posinf=self._high, neginf=self._low)


class GivenStage:
    """The score falls with the place among the request's candidates: 1, 1/2, 1/3 and so on."""

    name = "given"

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Score every candidate by its place."""
        starts = np.repeat(batch.offsets[:-1], batch.lengths)
        places = np.arange(1, batch.candidate_count + 1) - starts
        return _scored(batch, (1.0 / places).astype(np.float32))


def _scored(batch: RaggedBatch, scores: NDArray[np.float32]) -> RaggedBatch:
    return batch.adding(candidates={"score": scores, "ranker": scores})
