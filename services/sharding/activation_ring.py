"""Activations of a pipeline over shared memory: each rank writes into its own slots, and the next rank reads them.

A rank that finds its slots full reads its own incoming messages while it waits. So all ranks can write at the same time
however large their messages are, and no cycle of full slots can block them.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.sharding.shared_memory import RING_SLOTS, SLOT_BYTES, Channel, Round, SharedMemory

_HEADER = np.dtype([("failed", "<i8"), ("left_bytes", "<i8")])
_HEADER_BYTES = 64  # a cache line, so that the payload after it is aligned for any type
_PIECE_BYTES = SLOT_BYTES - _HEADER_BYTES

Piece = tuple[int, int, NDArray[np.uint8]]
"""The failed rank's number, the bytes from this piece to the end of the message, and this piece."""


class ActivationRing:
    """One rank's messages from the previous rank and to the next rank. Long messages are sent in pieces."""

    def __init__(self, memory: SharedMemory, limit_s: float) -> None:
        """Use the memory for activations.

        Args:
            memory: the memory that all ranks have mapped.
            limit_s: seconds to wait for another rank.
        """
        self._memory, self._limit_s = memory, limit_s
        self._previous, self._next = (memory.rank - 1) % memory.size, (memory.rank + 1) % memory.size
        self._written, self._read = 0, 0
        self._early: deque[Piece] = deque()
        self._outgoing, self._incoming = self._slots_of(memory.rank), self._slots_of(self._previous)

    def expect(self, counts: Sequence[int]) -> None:
        """Do nothing: messages contain their sizes."""

    def send(self, values: Tensor | None, count: int, failed: int) -> None:
        """Write a message into this rank's slots, if necessary after the next rank has read earlier ones.

        Args:
            values: ``count`` values of any shape, or None if a rank has failed.
            count: not used, because the message contains its size.
            failed: 0, or 1 plus the rank that failed.

        Raises:
            RankEnded, RankSilent: another rank has ended, or does not respond within the limit.
        """
        data = np.empty(0, dtype=np.uint8)
        if values is not None:
            data = values.float().reshape(-1).numpy().view(np.uint8)
        for start in range(0, max(1, len(data)), _PIECE_BYTES):
            self._wait_for_slot()
            self._written += 1
            slot = self._outgoing[self._written % RING_SLOTS]
            piece = data[start : start + _PIECE_BYTES]
            slot[: _HEADER.itemsize].view(_HEADER)[0] = (failed, len(data) - start)
            slot[_HEADER_BYTES:][: len(piece)] = piece
            self._memory.publish(Channel.ACTIVATIONS, self._written)

    def receive(self) -> tuple[Tensor, int]:
        """Wait for the next message. Return its values in one axis, as float32, and the number of the failed rank.

        Raises:
            RankEnded, RankSilent: the previous rank has ended, or does not respond within the limit.
        """
        failed, left_bytes, piece = self._next_piece()
        pieces = [piece]
        while left_bytes > len(piece):
            _, left_bytes, piece = self._next_piece()
            pieces.append(piece)
        self._read_early()
        values = piece if len(pieces) == 1 else np.concatenate(pieces)
        return torch.from_numpy(values.view(np.float32)), failed

    def finish(self) -> None:
        """Do nothing: a sent message is already in memory."""

    def _wait_for_slot(self) -> None:
        free = (Channel.READ_ACTIVATIONS, self._written + 1 - RING_SLOTS, self._next)
        while not self._memory.is_done(*free):
            self._memory.wait_any([free, self._arrival()], self._limit_s)
            self._read_early()

    def _next_piece(self) -> Piece:
        if not self._early:
            self._memory.wait_any([self._arrival()], self._limit_s)
            self._read_early()
        return self._early.popleft()

    def _read_early(self) -> None:
        """Copy all pieces that have arrived, so that the previous rank can use its slots again."""
        while self._memory.is_done(*self._arrival()):
            self._read += 1
            slot = self._incoming[self._read % RING_SLOTS]
            failed, left_bytes = slot[: _HEADER.itemsize].view(_HEADER)[0].item()
            self._early.append(
                (failed, left_bytes, slot[_HEADER_BYTES:][: min(left_bytes, _PIECE_BYTES)].copy())
            )
            self._memory.publish(Channel.READ_ACTIVATIONS, self._read)

    def _arrival(self) -> Round:
        return Channel.ACTIVATIONS, self._read + 1, self._previous

    def _slots_of(self, rank: int) -> list[NDArray[np.uint8]]:
        mapping = np.frombuffer(self._memory.mapping, dtype=np.uint8)
        starts = [self._memory.slot_offset(Channel.ACTIVATIONS, number, rank) for number in range(RING_SLOTS)]
        return [mapping[start : start + SLOT_BYTES] for start in starts]
