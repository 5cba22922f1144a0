"""The reranker stage: a listwise model orders the best M of each request, then diversity picks the list."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.features.catalogue import Catalogue
from models.padding import mask_of, to_lists
from models.ragged import RaggedBatch, offsets_of
from services.diversity import DiversityConfig, maximal_marginal_relevance
from services.errors import ConfigError
from services.ordering import best_of_each
from services.slots import ModelSlot


class RerankerConfig(BaseModel):
    """Which named model reranks the best how many, and how the list is made diverse."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    output: str = "score"
    best: int = Field(default=50, ge=1, le=1000)
    diversity: DiversityConfig | None = None


class RerankerStage:
    """Keeps the best M of each request in the model's order; "score" is then the reranker's."""

    name = "reranker"

    def __init__(self, slot: ModelSlot, config: RerankerConfig, catalogue: Catalogue, count: int) -> None:
        """Rerank with the model in the slot; ``count`` is the longest list that is answered."""
        self._slot = slot
        self._config = config
        self._count = count
        diversity = config.diversity
        self._vectors = None if diversity is None else diversity_vectors(diversity, catalogue)

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Rerank every request of the batch."""
        best = best_of_each(batch, "score", self._config.best)
        scores = self._slot.scores(best, self._config.output)
        best = best.adding(candidates={"score": scores, "reranker": scores})
        if self._vectors is None or self._config.diversity is None:
            return best_of_each(best, "score", self._count)
        offsets = best.offsets
        slots = maximal_marginal_relevance(
            to_lists(best.candidates["score"], offsets),
            to_lists(self._vectors.take(best.rows, axis=0), offsets),
            mask_of(offsets),
            self._count,
            self._config.diversity.relevance_weight,
        )
        lengths = np.minimum(np.diff(offsets), slots.shape[1])
        positions = slots + offsets[:-1, None]
        return best.keep(
            positions[np.arange(slots.shape[1])[None, :] < lengths[:, None]], offsets_of(lengths)
        )


def diversity_vectors(config: DiversityConfig, catalogue: Catalogue) -> NDArray[np.float32]:
    """Give the catalogue column that similarity is measured on, (items, D).

    Raises:
        ConfigError: there is none of that name, or it is not of finite vectors.
    """
    field = "reranker.diversity.column"
    vectors = catalogue.columns.get(config.column)
    if vectors is None:
        raise ConfigError(
            f"the catalogue has no column {config.column!r}; it has {', '.join(catalogue.columns)}",
            field=field,
        )
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ConfigError(
            f"column {config.column!r} of shape {vectors.shape} is not of finite vectors (items, D): "
            f"name an embedding",
            field=field,
        )
    return vectors
