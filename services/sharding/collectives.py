"""How one rank communicates with the other ranks in its shard group.

There are two kinds of traffic:

- Commands and inputs go from rank 0 to the others. They use shared memory if all ranks have mapped it, otherwise gloo.
- Within a model, ranks sum activations or pass them on. On GPUs they use NCCL. On CPUs they use shared memory if all
  ranks have mapped it, otherwise gloo.

Only the wait for the next command has no time limit.
"""

import os
import zlib
from datetime import timedelta

import numpy as np
import psutil
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from models.runtimes.base import Transport
from models.runtimes.pipeline.messages import use_messages
from models.runtimes.tensor_parallel.deepspeed import use_group
from services.sharding.activation_ring import ActivationRing
from services.sharding.all_reduce import new_all_reduce_group
from services.sharding.command_broadcast import CommandBroadcast
from services.sharding.command_ring import CommandRing
from services.sharding.commands import JOIN_LIMIT_S, LOAD_LIMIT_S, Command, RankSpec
from services.sharding.rendezvous import MemoryHost, connect, receive_memory
from services.sharding.shared_memory import SharedMemory
from services.sharding.transport import may_share_memory, open_memory_host, shared_memory_refused

_FOREVER = timedelta(days=365)


class Collectives:
    """One rank's connections to its group: torch.distributed's store and process groups, and the shared memory.

    Attributes:
        spec: this rank and its group.
        store: torch.distributed's key-value store, which all ranks share.
        model_group: the process group that models use.
    """

    def __init__(self, spec: RankSpec, own_address: str, listener: int | None = None) -> None:
        """Join the other ranks.

        Args:
            spec: this rank and its group.
            own_address: this rank's address, which selects its network interface.
            listener: a file descriptor, in rank 0 only: the socket on which the store listens.

        Raises:
            ConfigError: the ranks cannot use the configured transport.
            RuntimeFailure: DeepSpeed is not installed.
            dist.DistError, RuntimeError: not all ranks have joined.
        """
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = interface_of(own_address)
        batch_limit = timedelta(seconds=spec.timeout_s)
        self.spec = spec
        memory_host = open_memory_host(spec)
        self.store = dist.TCPStore(  # type: ignore[attr-defined]
            spec.host,
            spec.store_port,
            world_size=spec.size,
            is_master=spec.rank == 0,
            timeout=timedelta(seconds=JOIN_LIMIT_S),
            wait_for_workers=False,
            master_listen_fd=listener,
        )
        on_gpus = torch.cuda.is_available()
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
            store=self.store,
            rank=spec.rank,
            world_size=spec.size,
            timeout=timedelta(seconds=LOAD_LIMIT_S),
        )
        # Separate groups for models and for commands, so that a model load during a batch disturbs neither.
        self.model_group = dist.new_group(timeout=batch_limit)
        self._command_group = dist.new_group(
            timeout=batch_limit if spec.rank == 0 else _FOREVER, backend="gloo"
        )
        self._memory = _map_together(spec, memory_host)
        self._commands: CommandRing | CommandBroadcast = CommandBroadcast(self._command_group)
        sum_group, activations = self.model_group, None
        if self._memory is not None:
            self._commands = CommandRing(self._memory, spec.timeout_s)
            if not on_gpus:
                sum_group = new_all_reduce_group(self._memory, spec.timeout_s)
                activations = ActivationRing(self._memory, spec.timeout_s)
        use_group(sum_group)
        use_messages(activations)
        dist.barrier()  # returns when all ranks have started

    @property
    def transport(self) -> Transport:
        """The transport in use."""
        return "gloo" if self._memory is None else "shared_memory"

    def send(self, command: Command, number: int = 0, payload: bytes = b"") -> None:
        """Send a command to all other ranks. Only rank 0 may call it."""
        self._commands.send(command, number, payload)

    def receive(self) -> tuple[Command, int, NDArray[np.uint8]]:
        """Wait for rank 0's next command. Its payload is valid until the next call."""
        return self._commands.receive()

    def agree(self, message: str = "") -> bool:
        """Wait until all ranks call it, and return whether they all have the same message."""
        own = torch.tensor([zlib.crc32(message.encode())])
        checksums = [torch.empty_like(own) for _ in range(self.spec.size)]
        dist.all_gather(checksums, own, group=self._command_group)
        return all(torch.equal(checksum, own) for checksum in checksums)

    def leave(self) -> None:
        """Close the connections to the other ranks."""
        use_messages(None)  # so that the memory can be freed
        if self._memory is not None:
            self._memory.close()
        dist.destroy_process_group()


def _map_together(spec: RankSpec, memory_host: MemoryHost | None) -> SharedMemory | None:
    """Map rank 0's memory, if all ranks can. All ranks must call this at the same time.

    Returns:
        The memory. None in all ranks if the transport is gloo, or any rank cannot map the memory.

    Raises:
        ConfigError: the configuration requires shared memory, and a rank cannot map it.
        dist.DistError: a rank has ended.
    """
    if spec.size == 1 or spec.transport == "gloo":
        return None
    to_rank_0 = connect(spec.token, spec.rank) if spec.rank and may_share_memory(spec) else None
    can_map = torch.tensor([int(memory_host is not None or to_rank_0 is not None)])
    dist.all_reduce(can_map, dist.ReduceOp.MIN)
    try:
        if can_map.item() and memory_host is not None:
            return memory_host.share()
        if can_map.item() and to_rank_0 is not None:
            return receive_memory(to_rank_0, spec.rank, spec.size)
        if to_rank_0 is not None:
            to_rank_0.close()
    except OSError as error:
        raise dist.DistError(f"a rank ended while the group was connecting: {error}") from error
    finally:
        if memory_host is not None:
            memory_host.close()
    if spec.transport == "shared_memory":
        dist.destroy_process_group()
        raise shared_memory_refused("the ranks are on several machines, or rank 0 cannot make shared memory")
    return None


def interface_of(address: str) -> str:
    """Return the name of the network interface with this address.

    Raises:
        OSError: no interface has this address.
    """
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address == address for each in addresses):
            return name
    raise OSError(f"no network interface of this machine has the address {address}")
