"""Padded layouts of what is ragged: lists side by side, and long lists cut into chunks."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ragged import offsets_of

_CHUNK_SIZES = (32, 64, 128, 256, 512)
_SMALLEST_CHUNK = 16
_COST_OF_A_CHUNK = 8
"""What a chunk costs beside its slots, in slots: measured on the history ranker with one thread."""


class Slots:
    """Where the values of B ragged lists lie in (B, M), M the longest: worked out once for all who share it."""

    def __init__(self, offsets: NDArray[np.int64]) -> None:
        """offsets: int64 (B + 1,)."""
        self._starts = offsets[:-1]
        if len(offsets) == 2:  # one list, and often: nothing to compare
            self._even, self.shape = True, (1, int(offsets[1]))
            return
        self._lengths = np.diff(offsets)
        self.shape = (len(self._lengths), int(self._lengths.max(initial=0)))
        self._even = int(self._lengths.min(initial=self.shape[1])) == self.shape[1]

    @cached_property
    def _positions(self) -> NDArray[np.int64]:
        count, longest = self.shape
        shift = np.arange(count) * longest - self._starts
        return np.arange(int(self._lengths.sum())) + np.repeat(shift, self._lengths)

    def lists(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give (N, ...) as (B, M, ...); a view when all lists are equally long, else zero-padded."""
        if self._even:
            return values.reshape(*self.shape, *values.shape[1:])
        count, longest = self.shape
        padded = np.zeros((count * longest, *values.shape[1:]), dtype=values.dtype)
        padded[self._positions] = values
        return padded.reshape(count, longest, *values.shape[1:])

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Bool (B, M): which slots hold a value."""
        if self._even:
            return np.ones(self.shape, dtype=np.bool_)
        return np.asarray(np.arange(self.shape[1])[None, :] < self._lengths[:, None])


def to_lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Give (N, ...) as (B, M, ...); a view when all lists are equally long, else zero-padded."""
    return Slots(offsets).lists(values)


def mask_of(offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Give bool (B, M): which slots of padded lists hold a value."""
    return Slots(offsets).mask


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
    index = np.arange(int(counts.sum())) - np.repeat(offsets_of(counts)[:-1], counts)
    starts = np.repeat(offsets[:-1], counts) + sizes[best] * index
    return np.append(starts, offsets[-1])


def from_lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Give (B, M, ...) as (N, ...), without the padding."""
    if values.shape[0] * values.shape[1] == offsets[-1]:
        return values.reshape(-1, *values.shape[2:])
    return np.ascontiguousarray(values[mask_of(offsets)])
