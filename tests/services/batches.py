"""Ragged batches for tests."""

import numpy as np
from hypothesis import strategies as st

from models.ragged import Column, RaggedArray, RaggedBatch, offsets_of

FINITE = st.floats(-1e6, 1e6, width=32)


def ragged_batch(lengths: list[int], scores: list[float]) -> RaggedBatch:
    """Return lists with these lengths and scores as a batch. Candidate i of the batch has row i."""
    count = sum(lengths)
    return RaggedBatch(
        offsets=offsets_of(np.array(lengths, dtype=np.int64)),
        rows=np.arange(count, dtype=np.int64),
        candidates={"score": np.array(scores, dtype=np.float32)},
    )


@st.composite
def scored_batches(draw: st.DrawFn, *, values: st.SearchStrategy[float] = FINITE) -> RaggedBatch:
    """Draw lists of equal or different lengths, with scores from ``values``."""
    equal = draw(st.booleans())
    if equal:
        lengths = [draw(st.integers(1, 24))] * draw(st.integers(1, 4))
    else:
        lengths = draw(st.lists(st.integers(0, 24), min_size=1, max_size=5))
    return ragged_batch(lengths, draw(st.lists(values, min_size=sum(lengths), max_size=sum(lengths))))


@st.composite
def full_batches(draw: st.DrawFn) -> RaggedBatch:
    """Draw batches with every kind of column that a request may have."""
    lengths = np.array(draw(st.lists(st.integers(1, 40), min_size=1, max_size=6)), dtype=np.int64)
    history = np.array(draw(st.lists(st.integers(0, 9), min_size=len(lengths), max_size=len(lengths))))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    count = len(lengths)
    requests: dict[str, Column] = {
        "user.bias": random.normal(size=count).astype(np.float32),
        "user.profile": random.normal(size=(count, 3)).astype(np.float16),
        "context.position": random.normal(size=(2, count)).T,  # not contiguous
        "user.history": RaggedArray(
            random.integers(0, 2**62, int(history.sum())), offsets_of(history.astype(np.int64))
        ),
        "user.vectors": RaggedArray(
            random.normal(size=(int(history.sum()), 2)).astype(np.float32), offsets_of(history)
        ),
    }
    with_limits = draw(st.booleans())
    return RaggedBatch(
        offsets=offsets_of(lengths),
        rows=random.integers(0, 2**31 - 1, int(lengths.sum())),
        requests=requests,
        candidates={"cell.crowd": random.normal(size=int(lengths.sum())).astype(np.float32)}
        if draw(st.booleans())
        else {},
        deadlines_s=random.normal(size=count) if with_limits else None,
        priorities=random.integers(-9, 9, count).astype(np.int32) if with_limits else None,
        release=draw(st.text(max_size=5)),
    )
