"""Padded layouts of what is ragged: lists side by side, and long lists cut into chunks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ragged import offsets_of

_CHUNK_SIZES = (32, 64, 128, 256, 512)
_SMALLEST_CHUNK = 16
_COST_OF_A_CHUNK = 8
"""What a chunk costs beside its slots, in slots: measured on the history ranker with one thread."""


def to_lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Give (N, ...) as (B, M, ...); a view when all lists are equally long, else zero-padded."""
    if len(offsets) == 2:  # one request: no need to look
        return values[None]
    lengths = np.diff(offsets)
    longest = int(lengths.max(initial=0))
    if int(lengths.min(initial=longest)) == longest:
        return values.reshape(len(lengths), longest, *values.shape[1:])
    padded = np.zeros((len(lengths), longest, *values.shape[1:]), dtype=values.dtype)
    padded[mask_of(offsets)] = values
    return padded


def chunk_offsets(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut requests [offsets[i], offsets[i + 1]) into chunks; give the chunks' offsets (R + 1,).

    The size is the one that pays least for slots, padding included, and for chunks.
    """
    if len(offsets) == 2:
        return offsets
    lengths = np.diff(offsets)
    longest, shortest = int(lengths.max(initial=1)), int(lengths.min(initial=1))
    if longest == shortest:
        return offsets
    sizes = np.array([*(s for s in (*_CHUNK_SIZES, shortest) if _SMALLEST_CHUNK <= s < longest), longest])
    chunks = -(-lengths[None, :] // sizes[:, None])  # rounded up, (sizes, B)
    best = int(np.argmin(chunks.sum(axis=1) * (sizes + _COST_OF_A_CHUNK)))
    counts = chunks[best]
    place = np.arange(int(counts.sum())) - np.repeat(offsets_of(counts)[:-1], counts)
    starts = np.repeat(offsets[:-1], counts) + sizes[best] * place
    return np.append(starts, offsets[-1])


def from_lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Give (B, M, ...) as (N, ...), without the padding."""
    if values.shape[0] * values.shape[1] == offsets[-1]:
        return values.reshape(-1, *values.shape[2:])
    return np.ascontiguousarray(values[mask_of(offsets)])


def mask_of(offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Give bool (B, M): which slots of padded lists hold a candidate."""
    if len(offsets) == 2:
        return np.ones((1, int(offsets[1])), dtype=np.bool_)
    lengths = np.diff(offsets)
    return np.asarray(np.arange(int(lengths.max(initial=0)))[None, :] < lengths[:, None])
