"""Order within lists: select the best candidates of every request of a ragged batch."""

import numpy as np
from numpy.typing import NDArray

from models.padding import to_lists
from models.ragged import RaggedBatch, offsets_of


def best_of_each(batch: RaggedBatch, score: str, count: int) -> RaggedBatch:
    """Return every request with its ``count`` best candidates by the named column, best first.

    Ties keep the order of the candidates. NaN ranks last.
    """
    scores = batch.candidates[score]
    lengths = batch.lengths
    counts = np.minimum(lengths, count)
    if len(lengths) and (lengths == lengths[0]).all():
        positions = _best_of_equal(to_lists(scores, batch.offsets), int(counts[0]))
        flat = (positions + batch.offsets[:-1, None]).reshape(-1)
    else:
        flat = (
            np.concatenate(
                [
                    batch.offsets[i]
                    + _best_of_equal(scores[None, batch.offsets[i] : batch.offsets[i + 1]], int(counts[i]))[0]
                    for i in range(len(batch))
                ]
            )
            if len(batch)
            else np.zeros(0, dtype=np.int64)
        )
    return batch.keep(flat, offsets_of(counts))


def best_within_k(batch: RaggedBatch, score: str) -> RaggedBatch:
    """Return every request with its k best candidates by the named column, best first. Without k, return all."""
    if batch.k is None:
        return best_of_each(batch, score, batch.candidate_count)
    return first_of_each(best_of_each(batch, score, int(batch.k.max(initial=0))), batch.k)


def first_of_each(batch: RaggedBatch, counts: NDArray[np.int64]) -> RaggedBatch:
    """Return every request with its first ``counts`` (B,) candidates."""
    lengths = batch.lengths
    if (lengths <= counts).all():
        return batch
    position = np.arange(batch.candidate_count) - np.repeat(batch.offsets[:-1], lengths)
    return keep_where(batch, position < np.repeat(counts, lengths))


def keep_where(batch: RaggedBatch, kept: NDArray[np.bool_]) -> RaggedBatch:
    """Return every request with only the candidates for which ``kept``, bool (N,), is true."""
    return batch.keep(np.flatnonzero(kept), offsets_of(kept)[batch.offsets])


def _best_of_equal(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the positions of the best scores in each row of (B, M), int64 (B, count)."""
    descending = -scores
    if count * 4 < scores.shape[1]:
        # Sort only the selected part. Put its positions in ascending order first, so that ties keep their order.
        selected = np.sort(np.argpartition(descending, count - 1, axis=1)[:, :count], axis=1)
        values = np.take_along_axis(descending, selected, axis=1)
        # With a tie (or NaN) across the cut, the selection may have kept the later candidates.
        if (np.count_nonzero(descending <= values.max(axis=1, keepdims=True), axis=1) == count).all():
            return np.take_along_axis(selected, np.argsort(values, axis=1, kind="stable"), axis=1)
    return np.argsort(descending, axis=1, kind="stable")[:, :count]
