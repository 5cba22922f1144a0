"""The ranker stage: a score for every candidate."""

from pydantic import BaseModel, ConfigDict

from models.ragged import RaggedBatch
from services.stages.scoring.history_cache import HistoryCacheConfig
from services.stages.scoring.scorer import Scorer


class RankerConfig(BaseModel):
    """The model that ranks, and whether encoded histories are cached.

    Attributes:
        model: the model's name in ``models``.
        output: the model output that is the score.
        history_cache: the limits of the cache. With None, there is no cache.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    output: str = "score"
    history_cache: HistoryCacheConfig | None = None


class RankerStage:
    """Adds the candidate column "score", float32 (N,)."""

    name = "ranker"

    def __init__(self, scorer: Scorer, config: RankerConfig) -> None:
        """Score with the model in ``scorer``."""
        self.scorer = scorer
        self._output = config.output

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Run the model on the batch."""
        scores = self.scorer.scores(batch, self._output)
        return batch.adding(candidates={"score": scores, "ranker": scores})
