"""Sums over the ranks of one machine, as a process group of torch.distributed: what DeepSpeed's layers call."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import _create_work_from_future  # type: ignore[attr-defined]

from services.sharding.shared_memory import SLOT_BYTES, SLOTS_EACH, Channel, SharedBoard

_BACKEND = "rankway"


class SharedSums(dist.ProcessGroup):
    """All-reduce by a sum, in the order of the ranks, so that all have the same to the bit; nothing else."""

    def __init__(self, board: SharedBoard, limit_s: float) -> None:
        """Sum over the board's ranks, each of which is waited for at most so long."""
        super().__init__(board.rank, board.size)  # type: ignore[call-arg]
        self._board, self._limit_s = board, limit_s
        self._number = 0
        memory = torch.frombuffer(board.mapping, dtype=torch.uint8)
        self._slots = [
            [memory[start : start + SLOT_BYTES] for start in self._starts(k)] for k in range(SLOTS_EACH)
        ]
        done: torch.futures.Future[None] = torch.futures.Future()
        done.set_result(None)
        self._done = _create_work_from_future(done)

    def allreduce(  # type: ignore[override]
        self, tensors: Sequence[Tensor], options: Any = None
    ) -> Any:
        """Sum each tensor over the ranks, in place.

        Raises:
            RankEnded, RankSilent: a rank does not take part. ValueError: another operation than a sum.
        """
        if options is not None and options.reduceOp != dist.ReduceOp.SUM:
            raise ValueError(f"the ranks of a shard group sum, and do not reduce by {options.reduceOp}")
        for tensor in tensors:
            flat = tensor.contiguous().view(-1)
            most = SLOT_BYTES // tensor.element_size()
            for start in range(0, len(flat), most):
                self._sum(flat[start : start + most])
            if not tensor.is_contiguous():
                tensor.copy_(flat.view(tensor.shape))
        return self._done

    def getBackendName(self) -> str:  # noqa: N802, as torch.distributed calls it
        """Name it."""
        return _BACKEND

    def _sum(self, part: Tensor) -> None:
        self._number += 1
        slots = [slot[: part.nbytes].view(part.dtype) for slot in self._slots[self._number % SLOTS_EACH]]
        slots[self._board.rank].copy_(part)
        self._board.publish(Channel.SUMS, self._number)
        self._board.wait(Channel.SUMS, self._number, self._board.others, self._limit_s)
        torch.add(slots[0], slots[1], out=part)
        for slot in slots[2:]:
            part.add_(slot)

    def _starts(self, number: int) -> list[int]:
        return [self._board.slot_offset(Channel.SUMS, number, rank) for rank in range(self._board.size)]


def shared_sums(board: SharedBoard, limit_s: float) -> dist.ProcessGroup:
    """Make the group known to torch.distributed, which is initialised; all ranks do so at once."""
    made = [SharedSums(board, limit_s)]  # what is registered stays, and is not to keep the board
    dist.Backend.register_backend(_BACKEND, lambda *_place: made.pop(), devices="cpu")
    group = dist.new_group(backend=_BACKEND, timeout=timedelta(seconds=limit_s))
    assert isinstance(group, SharedSums)
    return group
