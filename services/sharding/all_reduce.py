"""All-reduce over shared memory: each rank gets the sum over all ranks.

The module implements a process group for torch.distributed, because DeepSpeed's layers call that interface.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import _create_work_from_future  # type: ignore[attr-defined]

from services.sharding.shared_memory import SLOT_BYTES, SLOTS_EACH, Channel, SharedMemory

_BACKEND = "rankway"


class SharedMemoryAllReduce(dist.ProcessGroup):
    """A process group that only sums. It adds in rank order, so that all ranks get the same bits."""

    def __init__(self, memory: SharedMemory, limit_s: float) -> None:
        """Sum over all ranks that have mapped the memory.

        Args:
            memory: the memory that all ranks have mapped.
            limit_s: seconds to wait for each rank in each round.
        """
        super().__init__(memory.rank, memory.size)  # type: ignore[call-arg]
        self._memory, self._limit_s = memory, limit_s
        self._number = 0
        mapping = torch.frombuffer(memory.mapping, dtype=torch.uint8)
        self._slots = [
            [mapping[start : start + SLOT_BYTES] for start in self._slot_offsets(number)]
            for number in range(SLOTS_EACH)
        ]
        done: torch.futures.Future[None] = torch.futures.Future()
        done.set_result(None)
        self._done = _create_work_from_future(done)

    def allreduce(  # type: ignore[override]
        self, tensors: Sequence[Tensor], options: Any = None
    ) -> Any:
        """Sum each tensor over the ranks, in place.

        Raises:
            RankEnded, RankSilent: a rank has ended, or does not respond within the limit.
            ValueError: ``options`` ask for an operation other than a sum.
        """
        if options is not None and options.reduceOp != dist.ReduceOp.SUM:
            raise ValueError(f"options.reduceOp: must be SUM in a shard group, got {options.reduceOp}")
        for tensor in tensors:
            flat = tensor.contiguous().view(-1)
            slot_length = SLOT_BYTES // tensor.element_size()
            for start in range(0, len(flat), slot_length):
                self._sum(flat[start : start + slot_length])
            if not tensor.is_contiguous():
                tensor.copy_(flat.view(tensor.shape))
        return self._done

    def getBackendName(self) -> str:  # noqa: N802, as torch.distributed calls it
        """Return this backend's name."""
        return _BACKEND

    def _sum(self, part: Tensor) -> None:
        self._number += 1
        slots = [slot[: part.nbytes].view(part.dtype) for slot in self._slots[self._number % SLOTS_EACH]]
        slots[self._memory.rank].copy_(part)
        self._memory.publish(Channel.ALL_REDUCE, self._number)
        self._memory.wait(Channel.ALL_REDUCE, self._number, self._memory.others, self._limit_s)
        torch.add(slots[0], slots[1], out=part)
        for slot in slots[2:]:
            part.add_(slot)

    def _slot_offsets(self, number: int) -> list[int]:
        ranks = range(self._memory.size)
        return [self._memory.slot_offset(Channel.ALL_REDUCE, number, rank) for rank in ranks]


def new_all_reduce_group(memory: SharedMemory, limit_s: float) -> dist.ProcessGroup:
    """Return a process group that sums over the memory.

    All ranks must call this at the same time, after torch.distributed is initialised.
    """
    groups = [
        SharedMemoryAllReduce(memory, limit_s)
    ]  # torch keeps the function below for ever. The function empties the list, so that the memory can be freed
    dist.Backend.register_backend(_BACKEND, lambda *_options: groups.pop(), devices="cpu")
    group = dist.new_group(backend=_BACKEND, timeout=timedelta(seconds=limit_s))
    assert isinstance(group, SharedMemoryAllReduce)
    return group
