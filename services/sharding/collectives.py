"""The collectives of a shard group: torch.distributed's groups as one rank has joined them.

Ranks of one machine give orders and inputs, and sum, through memory that they share; others by what torch.distributed
has. Who waits for the next order neither spins for long nor gives up; rank 0, and whoever is in the middle of a model,
waits no longer than the limit.
"""

import os
import zlib
from contextlib import suppress
from datetime import timedelta

import numpy as np
import psutil
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from models.runtimes.deepspeed import use_group
from services.sharding.all_reduce import shared_sums
from services.sharding.command_ring import SharedOrders
from services.sharding.commands import JOIN_LIMIT_S, LOAD_LIMIT_S, Order, Place
from services.sharding.rendezvous import Door, enter, knock
from services.sharding.shared_memory import SharedBoard, is_possible

_FOREVER = timedelta(days=365)


class Joined:
    """This process in its group: the store and the groups of torch.distributed."""

    def __init__(self, place: Place, own_address: str, listener: int | None = None) -> None:
        """Meet the others; ``listener`` is rank 0's socket for the store.

        Raises:
            RuntimeFailure: DeepSpeed is not installed. dist.DistError, RuntimeError: not all ranks came.
        """
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = interface_of(own_address)
        batch_limit = timedelta(seconds=place.timeout_s)
        self.place = place
        door = _door(place)
        self.store = dist.TCPStore(  # type: ignore[attr-defined]
            place.host,
            place.store_port,
            world_size=place.size,
            is_master=place.rank == 0,
            timeout=timedelta(seconds=JOIN_LIMIT_S),
            wait_for_workers=False,
            master_listen_fd=listener,
        )
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(
            backend,
            store=self.store,
            rank=place.rank,
            world_size=place.size,
            timeout=timedelta(seconds=LOAD_LIMIT_S),
        )
        # Sums of layers; and apart from them commands and inputs, so that a load beside a batch disturbs neither.
        self.sums = dist.new_group(timeout=batch_limit)
        self.orders = dist.new_group(timeout=batch_limit if place.rank == 0 else _FOREVER, backend="gloo")
        self._board = _shared_by_all(place, door)
        self._shared: SharedOrders | None = None
        if self._board is not None:
            self._shared = SharedOrders(self._board, place.timeout_s)
        on_gpus = torch.cuda.is_available()
        shared = None if self._board is None or on_gpus else shared_sums(self._board, place.timeout_s)
        use_group(shared or self.sums)
        dist.barrier()  # from here on nobody has to wait for another's start

    @property
    def shares_memory(self) -> bool:
        """Whether all ranks are on one machine, and use its memory."""
        return self._board is not None

    def send(self, order: Order, number: int = 0, payload: bytes = b"") -> None:
        """Have all other ranks do something; rank 0 alone calls it."""
        if self._shared is not None:
            self._shared.send(order, number, payload)
            return
        header = torch.tensor([order, number, len(payload)])
        dist.broadcast(header, 0, group=self.orders)
        if payload:
            dist.broadcast(torch.frombuffer(bytearray(payload), dtype=torch.uint8), 0, group=self.orders)

    def receive(self) -> tuple[Order, int, NDArray[np.uint8]]:
        """Wait for rank 0's next order; the bytes that come with it are good until the next call."""
        if self._shared is not None:
            return self._shared.receive()
        header = torch.empty(3, dtype=torch.int64)
        dist.broadcast(header, 0, group=self.orders)
        order, number, size = header.tolist()
        payload = torch.empty(size, dtype=torch.uint8)
        if size:
            dist.broadcast(payload, 0, group=self.orders)
        return Order(order), number, payload.numpy()

    def meet(self, told: str = "") -> bool:
        """Wait for all ranks; give whether all of them tell the same."""
        mine = torch.tensor([zlib.crc32(told.encode())])
        all_of_them = [torch.empty_like(mine) for _ in range(self.place.size)]
        dist.all_gather(all_of_them, mine, group=self.orders)
        return all(torch.equal(each, mine) for each in all_of_them)

    def leave(self) -> None:
        """Close the groups' connections."""
        if self._board is not None:
            self._board.close()
        dist.destroy_process_group()


def _shared_by_all(place: Place, door: Door | None) -> SharedBoard | None:
    """Give the memory that all ranks share, None unless they are on one machine; all call it at once."""
    bell = knock(place.token, place.rank) if place.rank and is_possible() else None
    has_come = torch.tensor([int(door is not None or bell is not None)])
    dist.all_reduce(has_come, dist.ReduceOp.MIN)
    try:
        if has_come.item() and door is not None:
            return door.admit()
        if has_come.item() and bell is not None:
            return enter(bell, place.rank, place.size)
        if bell is not None:
            bell.close()
        return None
    except OSError as error:
        raise dist.DistError(f"a rank left while all met: {error}") from error
    finally:
        if door is not None:
            door.close()


def _door(place: Place) -> Door | None:
    """Open rank 0's door, where the machine has what it takes."""
    if place.rank == 0 and place.size > 1 and is_possible():
        with suppress(OSError):
            return Door(place.token, place.size)
    return None


def interface_of(address: str) -> str:
    """Name the network interface that has the address.

    Raises:
        OSError: none has it.
    """
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address == address for each in addresses):
            return name
    raise OSError(f"no network interface of this machine has the address {address}")
