"""Rank 0's orders to the ranks of its machine: read where they lie in shared memory, the long ones piece by piece."""

import numpy as np
from numpy.typing import NDArray

from services.sharding.commands import Order
from services.sharding.shared_memory import SLOT_BYTES, SLOTS_EACH, Channel, SharedBoard

_HEADER = np.dtype([("order", "<i8"), ("number", "<i8"), ("left_bytes", "<i8")])
_HEADER_BYTES = 64  # a cache line: what follows is aligned for any type
_PIECE_BYTES = SLOT_BYTES - _HEADER_BYTES


class SharedOrders:
    """One rank's end. Rank 0 goes on when an order is written; it waits for who is not done with the last but one."""

    def __init__(self, board: SharedBoard, limit_s: float) -> None:
        """Give or take orders over the board; rank 0 waits at most so long."""
        self._board, self._limit_s = board, limit_s
        self._number = 0
        memory = np.frombuffer(board.mapping, dtype=np.uint8)
        starts = [board.slot_offset(Channel.ORDERS, number, 0) for number in range(SLOTS_EACH)]
        self._slots = [memory[start : start + SLOT_BYTES] for start in starts]

    def send(self, order: Order, number: int, payload: bytes) -> None:
        """Have all other ranks do something.

        Raises:
            RankEnded, RankSilent: one is not done with what it was sent before.
        """
        data = np.frombuffer(payload, dtype=np.uint8)
        for start in range(0, max(1, len(data)), _PIECE_BYTES):
            self._number += 1
            self._board.wait(Channel.ORDERS, self._number - SLOTS_EACH, self._board.others, self._limit_s)
            slot = self._slots[self._number % SLOTS_EACH]
            piece = data[start : start + _PIECE_BYTES]
            slot[: _HEADER.itemsize].view(_HEADER)[0] = (order, number, len(data) - start)
            slot[_HEADER_BYTES:][: len(piece)] = piece
            self._board.publish(Channel.ORDERS, self._number)

    def receive(self) -> tuple[Order, int, NDArray[np.uint8]]:
        """Wait for rank 0's next order, however long; what it brings may be used until the next call.

        Raises:
            RankEnded: rank 0 has.
        """
        order, number, left, piece = self._piece()
        if left == len(piece):
            return order, number, piece  # where it lies
        whole = np.empty(left, dtype=np.uint8)
        whole[: len(piece)] = piece
        while left > len(piece):
            left -= len(piece)
            piece = self._piece()[-1]
            whole[len(whole) - left :][: len(piece)] = piece
        return order, number, whole

    def _piece(self) -> tuple[Order, int, int, NDArray[np.uint8]]:
        self._board.publish(Channel.ORDERS, self._number)  # done with what was last
        self._number += 1
        self._board.wait(Channel.ORDERS, self._number, [0], None)
        slot = self._slots[self._number % SLOTS_EACH]
        order, number, left = slot[: _HEADER.itemsize].view(_HEADER)[0].item()
        return Order(order), number, left, slot[_HEADER_BYTES:][: min(left, _PIECE_BYTES)]
