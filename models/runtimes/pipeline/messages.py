"""How the ranks of a pipeline pass activations on: each rank sends to the next one, and the last one to rank 0.

Every message has a number: 0, or 1 plus the rank that failed. If a rank has failed, the values have no meaning.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup


class Messages(Protocol):
    """One rank's messages from the previous rank and to the next rank. They arrive in the order of sending."""

    def expect(self, counts: Sequence[int]) -> None:
        """Announce the sizes of all messages that this rank will receive during a batch."""
        ...

    def send(self, values: Tensor | None, count: int, failed: int) -> None:
        """Start to send a message.

        Args:
            values: ``count`` values of any shape, or None if a rank has failed.
            count: the size that the next rank expects.
            failed: 0, or 1 plus the rank that failed.

        Raises:
            RuntimeError: the next rank has ended or does not respond.
        """
        ...

    def receive(self) -> tuple[Tensor, int]:
        """Wait for the next message. Return its values in one axis, as float32, and the number of the failed rank.

        Raises:
            RuntimeError: the previous rank has ended or does not respond.
        """
        ...

    def finish(self) -> None:
        """Wait until all messages are sent.

        Raises:
            RuntimeError: the next rank has ended or does not respond.
        """
        ...


class GroupMessages:
    """Messages over a process group of torch.distributed, with gloo or NCCL.

    With gloo the next message is received while the rank works on the previous one. NCCL executes the messages between
    two ranks in order, so an early receive would block this rank's sends.
    """

    def __init__(self, group: ProcessGroup, device: torch.device) -> None:
        """Use ``group`` for messages between tensors on ``device``."""
        rank, size = dist.get_rank(group), dist.get_world_size(group)
        self._group, self._device = group, device
        self._previous, self._next = (rank - 1) % size, (rank + 1) % size
        self._sent: list[tuple[dist.Work, Tensor]] = []
        self._counts: deque[int] = deque()
        self._received = 0
        self._coming: tuple[dist.Work, Tensor] | None = None

    def expect(self, counts: Sequence[int]) -> None:
        """Start to receive the batch's first message."""
        self._counts = deque(counts)
        self._received = 0
        self._receive_early()

    def send(self, values: Tensor | None, count: int, failed: int) -> None:
        """Start to send a message."""
        message = torch.empty(count + 1, device=self._device)
        if values is not None:
            message[:-1].copy_(values.reshape(-1))
        message[-1] = failed
        work = dist.isend(message, group=self._group, group_dst=self._next, tag=len(self._sent))
        assert work is not None, "both are in the group"
        self._sent.append((work, message))

    def receive(self) -> tuple[Tensor, int]:
        """Wait for the next message, and start to receive the one after it."""
        work, message = self._coming or self._receive_next()
        work.wait()
        self._receive_early()
        return message[:-1], int(message[-1])

    def finish(self) -> None:
        """Wait until all messages are sent."""
        for work, _ in self._sent:
            work.wait()
        self._sent.clear()

    def _receive_early(self) -> None:
        is_early = bool(self._counts) and self._device.type == "cpu"
        self._coming = self._receive_next() if is_early else None

    def _receive_next(self) -> tuple[dist.Work, Tensor]:
        message = torch.empty(self._counts.popleft() + 1, device=self._device)
        work = dist.irecv(message, group=self._group, group_src=self._previous, tag=self._received)
        assert work is not None, "both are in the group"
        self._received += 1
        return work, message


_shared: Messages | None = None


def use_messages(messages: Messages | None) -> None:
    """Make pipelines on CPUs pass activations on with ``messages``. None means over their process group.

    Call it once per process, before a pipeline is loaded.
    """
    global _shared  # noqa: PLW0603, as DeepSpeed's group is also one for the process
    _shared = messages


def messages_of(group: ProcessGroup, device: torch.device) -> Messages:
    """Return the messages for a pipeline on ``device``."""
    if _shared is not None and device.type == "cpu":
        return _shared
    return GroupMessages(group, device)
