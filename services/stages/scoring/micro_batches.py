"""Micro-batches: a batch is scored in several calls of its model, if calls of that size take less time per candidate.

A model writes its intermediate results to memory. Those of a large call do not fit into the processor's cache, and
the replicas on a machine compete for the memory's bandwidth. Smaller batches would not have the same effect, because
everything except the model takes less time per request in large batches.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.ragged import RaggedBatch

Score = Callable[[RaggedBatch], NDArray[np.float32]]


def in_micro_batches(batch: RaggedBatch, max_candidates: int | None, score: Score) -> NDArray[np.float32]:
    """Return the scores of all candidates, float32 (N,).

    The model is not called for a batch without candidates. Attention fails on it in every runtime, and an LSTM in ONNX
    Runtime 1.32 ends the process.

    With the DLRM at 100 clients and batches of at most 1,024 candidates, micro-batches of 128 save 19% of the CPU per
    request (0.303 to 0.246 core-ms).

    Args:
        batch: the batch.
        max_candidates: as for ``divided``. With None, the batch is scored in one call.
        score: returns the scores of a micro-batch.
    """
    if not batch.candidate_count:
        return np.zeros(0, dtype=np.float32)
    if max_candidates is None or batch.candidate_count <= max_candidates:
        return score(batch)
    return np.concatenate([score(part) for part in divided(batch, max_candidates)])


def divided(batch: RaggedBatch, max_candidates: int) -> Sequence[RaggedBatch]:
    """Divide a batch into parts of about equal size, with at most ``max_candidates`` in each.

    A request is never divided, so a part may be larger if it is a single request. Only a batch without candidates has
    a part without candidates.
    """
    offsets = batch.offsets.tolist()
    count = max(1, -(-offsets[-1] // max_candidates))
    most = -(-offsets[-1] // count)
    parts, first = [], 0
    for last in range(1, len(offsets) - 1):
        is_full = offsets[last + 1] - offsets[first] > most
        if is_full and offsets[first] < offsets[last] < offsets[-1]:
            parts.append(batch.between(first, last))
            first = last
    return [*parts, batch.between(first, len(batch))]
