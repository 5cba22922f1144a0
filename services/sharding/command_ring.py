"""Commands over shared memory. Followers read them in place. Long commands are sent in pieces."""

import numpy as np
from numpy.typing import NDArray

from services.sharding.commands import Command
from services.sharding.shared_memory import SLOT_BYTES, SLOTS_EACH, Channel, SharedMemory

_HEADER = np.dtype([("command", "<i8"), ("number", "<i8"), ("left_bytes", "<i8")])
_HEADER_BYTES = 64  # a cache line, so that the payload after it is aligned for any type
_PIECE_BYTES = SLOT_BYTES - _HEADER_BYTES


class CommandRing:
    """Sends or receives commands in one rank.

    Rank 0 does not wait for answers. It only waits if a rank still reads the slot for the next command.
    """

    def __init__(self, memory: SharedMemory, limit_s: float) -> None:
        """Use the memory for commands.

        Args:
            memory: the memory that all ranks have mapped.
            limit_s: seconds that rank 0 waits for a free slot.
        """
        self._memory, self._limit_s = memory, limit_s
        self._number = 0
        mapping = np.frombuffer(memory.mapping, dtype=np.uint8)
        starts = [memory.slot_offset(Channel.COMMANDS, number, 0) for number in range(SLOTS_EACH)]
        self._slots = [mapping[start : start + SLOT_BYTES] for start in starts]

    def send(self, command: Command, number: int, payload: bytes) -> None:
        """Send a command to all other ranks.

        Raises:
            RankEnded, RankSilent: a rank has ended, or has not read earlier commands within the limit.
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
        command, number, left_bytes, piece = self._receive_piece()
        if left_bytes == len(piece):
            return command, number, piece  # in place, without a copy
        payload = np.empty(left_bytes, dtype=np.uint8)
        payload[: len(piece)] = piece
        while left_bytes > len(piece):
            left_bytes -= len(piece)
            piece = self._receive_piece()[-1]
            payload[len(payload) - left_bytes :][: len(piece)] = piece
        return command, number, payload

    def _receive_piece(self) -> tuple[Command, int, int, NDArray[np.uint8]]:
        self._memory.publish(Channel.COMMANDS, self._number)  # this rank has read the last piece
        self._number += 1
        self._memory.wait(Channel.COMMANDS, self._number, [0], None)
        slot = self._slots[self._number % SLOTS_EACH]
        command, number, left_bytes = slot[: _HEADER.itemsize].view(_HEADER)[0].item()
        return Command(command), number, left_bytes, slot[_HEADER_BYTES:][: min(left_bytes, _PIECE_BYTES)]
