"""Commands over shared memory: followers read them where they lie; long ones are sent in pieces."""

import numpy as np
from numpy.typing import NDArray

from services.sharding.commands import Command
from services.sharding.shared_memory import SLOT_BYTES, SLOTS_EACH, Channel, SharedMemory

_HEADER = np.dtype([("command", "<i8"), ("number", "<i8"), ("left_bytes", "<i8")])
_HEADER_BYTES = 64  # a cache line: the payload after it is aligned for any type
_PIECE_BYTES = SLOT_BYTES - _HEADER_BYTES


class CommandRing:
    """One rank's end. Rank 0 does not wait for answers; it waits only to reuse a slot that a rank still reads."""

    def __init__(self, memory: SharedMemory, limit_s: float) -> None:
        """Send or receive commands over the memory; rank 0 waits for a slot at most ``limit_s``."""
        self._memory, self._limit_s = memory, limit_s
        self._number = 0
        mapping = np.frombuffer(memory.mapping, dtype=np.uint8)
        starts = [memory.slot_offset(Channel.COMMANDS, number, 0) for number in range(SLOTS_EACH)]
        self._slots = [mapping[start : start + SLOT_BYTES] for start in starts]

    def send(self, command: Command, number: int, payload: bytes) -> None:
        """Send a command to all other ranks.

        Raises:
            RankEnded, RankSilent: a rank is not done with earlier commands.
        """
        data = np.frombuffer(payload, dtype=np.uint8)
        for start in range(0, max(1, len(data)), _PIECE_BYTES):
            self._number += 1
            self._memory.wait(Channel.COMMANDS, self._number - SLOTS_EACH, self._memory.others, self._limit_s)
            slot = self._slots[self._number % SLOTS_EACH]
            piece = data[start : start + _PIECE_BYTES]
            slot[: _HEADER.itemsize].view(_HEADER)[0] = (command, number, len(data) - start)
            slot[_HEADER_BYTES:][: len(piece)] = piece
            self._memory.publish(Channel.COMMANDS, self._number)

    def receive(self) -> tuple[Command, int, NDArray[np.uint8]]:
        """Wait for rank 0's next command without a limit. Its payload is valid until the next call.

        Raises:
            RankEnded: rank 0 has ended.
        """
        command, number, left, piece = self._receive_piece()
        if left == len(piece):
            return command, number, piece  # where it lies
        whole = np.empty(left, dtype=np.uint8)
        whole[: len(piece)] = piece
        while left > len(piece):
            left -= len(piece)
            piece = self._receive_piece()[-1]
            whole[len(whole) - left :][: len(piece)] = piece
        return command, number, whole

    def _receive_piece(self) -> tuple[Command, int, int, NDArray[np.uint8]]:
        self._memory.publish(Channel.COMMANDS, self._number)  # done with the last one
        self._number += 1
        self._memory.wait(Channel.COMMANDS, self._number, [0], None)
        slot = self._slots[self._number % SLOTS_EACH]
        command, number, left = slot[: _HEADER.itemsize].view(_HEADER)[0].item()
        return Command(command), number, left, slot[_HEADER_BYTES:][: min(left, _PIECE_BYTES)]
