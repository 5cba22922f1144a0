"""Commands over gloo, for ranks that do not share memory."""

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from services.sharding.commands import Command


class CommandBroadcast:
    """Sends or receives commands in one rank. Rank 0 broadcasts a header and then a payload."""

    def __init__(self, group: dist.ProcessGroup) -> None:
        """Use ``group`` for the commands. Its time-out limits each wait."""
        self._group = group

    def send(self, command: Command, number: int, payload: bytes) -> None:
        """Send a command to all other ranks.

        Raises:
            RuntimeError: a rank has ended, or does not respond within the limit.
        """
        header = torch.tensor([command, number, len(payload)])
        dist.broadcast(header, 0, group=self._group)
        if payload:
            dist.broadcast(torch.frombuffer(bytearray(payload), dtype=torch.uint8), 0, group=self._group)

    def receive(self) -> tuple[Command, int, NDArray[np.uint8]]:
        """Wait for rank 0's next command.

        Raises:
            RuntimeError: rank 0 has ended.
        """
        header = torch.empty(3, dtype=torch.int64)
        dist.broadcast(header, 0, group=self._group)
        command, number, size = header.tolist()
        payload = torch.empty(size, dtype=torch.uint8)
        if size:
            dist.broadcast(payload, 0, group=self._group)
        return Command(command), number, payload.numpy()
