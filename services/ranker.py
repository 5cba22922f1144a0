"""The ranker stage: a score for every candidate of the batch."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from models.ragged import RaggedBatch
from services.errors import StageFailed
from services.slots import ModelSlot


class RankerConfig(BaseModel):
    """Which named model ranks, and which of its outputs is the score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    output: str = "score"


class RankerStage:
    """Adds the candidate column "score", float32 (N,)."""

    name = "ranker"

    def __init__(self, slot: ModelSlot, config: RankerConfig) -> None:
        """Score with the model in the slot."""
        self._slot = slot
        self._output = config.output

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Run the model on the batch.

        Raises:
            StageFailed: it gave anything but one number a candidate.
        """
        scores = np.asarray(self._slot.run(batch)[self._output], dtype=np.float32)
        if scores.size != batch.candidate_count:
            raise StageFailed(
                f"the ranker's output {self._output} has shape {scores.shape} for {batch.candidate_count} "
                f"candidates: export a model that gives one number each"
            )
        scores = scores.reshape(-1)  # models often give (N, 1)
        return batch.adding(candidates={"score": scores, "ranker": scores})
