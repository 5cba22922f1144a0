"""Padded layouts for ragged lists: one row per list, or one row per chunk of a list."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ragged import offsets_of

_CHUNK_SIZES = (32, 64, 128, 256, 512)
_SMALLEST_CHUNK = 16
_COST_OF_A_CHUNK = 8
"""A chunk's overhead in slots, measured on the history ranker with one thread."""


class Slots:
    """Positions in a padded array (B, M) for the values of B ragged lists, of which the longest has M.

    The positions are computed once for all arrays with the same offsets.
    """

    def __init__(self, offsets: NDArray[np.int64]) -> None:
        """Compute the padded shape from int64 offsets (B + 1,)."""
        self._starts = offsets[:-1]
        if len(offsets) == 2:  # a common case: one list needs no comparison
            self._equal_lengths, self.shape = True, (1, int(offsets[1]))
            return
        self._lengths = offsets[1:] - offsets[:-1]
        self.shape = (len(self._lengths), int(self._lengths.max(initial=0)))
        self._equal_lengths = int(self._lengths.min(initial=self.shape[1])) == self.shape[1]

    @cached_property
    def _positions(self) -> NDArray[np.int64]:
        count, longest = self.shape
        shift = np.arange(count) * longest - self._starts
        return np.arange(int(self._lengths.sum())) + np.repeat(shift, self._lengths)

    def lists(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values (N, ...) padded with zeros to (B, M, ...), as a view if all lists have the same length."""
        if self._equal_lengths:
            return values.reshape(*self.shape, *values.shape[1:])
        count, longest = self.shape
        padded = np.zeros((count * longest, *values.shape[1:]), dtype=values.dtype)
        padded[self._positions] = values
        return padded.reshape(count, longest, *values.shape[1:])

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Bool (B, M), True for slots that hold a value."""
        if self._equal_lengths:
            return np.ones(self.shape, dtype=np.bool_)
        return np.asarray(np.arange(self.shape[1])[None, :] < self._lengths[:, None])


def to_lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Return values (N, ...) padded with zeros to (B, M, ...), as a view if all lists have the same length."""
    return Slots(offsets).lists(values)


def mask_of(offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return bool (B, M), True for padded slots that hold a value."""
    return Slots(offsets).mask


def chunk_offsets(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut requests [offsets[i], offsets[i + 1]) into chunks and return the chunk offsets (R + 1,).

    All chunks have one size, except a shorter last chunk of a request. The size minimises the total cost: all slots,
    including padding, plus a constant per chunk.
    """
    if len(offsets) == 2:
        return offsets
    lengths = np.diff(offsets)
    longest, shortest = int(lengths.max(initial=1)), int(lengths.min(initial=1))
    if longest == shortest:
        return offsets
    sizes = np.array([*(s for s in (*_CHUNK_SIZES, shortest) if _SMALLEST_CHUNK <= s < longest), longest])
    chunks = -(-lengths[None, :] // sizes[:, None])  # (sizes, B), rounded up
    best = int(np.argmin(chunks.sum(axis=1) * (sizes + _COST_OF_A_CHUNK)))
    counts = chunks[best]
    index = np.arange(int(counts.sum())) - np.repeat(offsets_of(counts)[:-1], counts)
    starts = np.repeat(offsets[:-1], counts) + sizes[best] * index
    return np.append(starts, offsets[-1])


def from_lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Return values (B, M, ...) without the padding, as (N, ...)."""
    if values.shape[0] * values.shape[1] == offsets[-1]:
        return values.reshape(-1, *values.shape[2:])
    return np.ascontiguousarray(values[mask_of(offsets)])
