"""Shard groups: one replica's model over several processes. Rank 0 is the replica's own process.

Every other rank is an actor, ``services.sharding.actors.Shard``, on a bundle of the replica's placement group, which
Serve places and removes with the replica: all or none. A rank that is lost breaks the group for good: batches fail, at
once or when a rank was waited for long enough, and so does the health check, by which Serve replaces the whole replica.
"""

import json
import os
import socket
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.artifact import Artifact
from models.errors import BatchFailure, OutOfMemory, RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.base import GroupOptions, Runtime, RuntimeConfig, group_of
from models.signature import Inputs
from services.errors import ShardLost
from services.sharding.commands import JOIN_LIMIT_S, LOAD_LIMIT_S, Order, Place
from services.sharding.follower import load_part, loaded_key
from services.sharding.heartbeat import Lifelines
from services.sharding.processes import Others
from services.wire import pack

if TYPE_CHECKING:
    from services.sharding.collectives import Joined

_POLL_S = 0.02


class ShardGroup:
    """Rank 0's side: loads models in all ranks, and runs one batch at a time in all of them."""

    def __init__(self, config: GroupOptions, others: Others, address: str = "127.0.0.1") -> None:
        """Start the other ranks; the first load waits for them. ``address`` is this machine's, as they reach it."""
        self.size = config.shards
        self.broken: str | None = None
        """Why no batch can be run any more."""
        self._address, self._others = address, others
        self._lifelines = Lifelines(address)
        self._listener = socket.create_server((address, 0))
        self._place = Place(
            rank=0,
            size=config.shards,
            host=address,
            store_port=int(self._listener.getsockname()[1]),
            lifeline_port=self._lifelines.port,
            token=self._lifelines.token,
            pid=os.getpid(),
            timeout_s=config.timeout_s,
        )
        self._joined: Joined | None = None
        self._lock = threading.Lock()  # all ranks take orders in one sequence
        self._forgotten: deque[int] = deque()
        self._number = 0
        others.start(self._place)

    def join(self) -> None:
        """Meet the other ranks.

        Raises:
            ShardLost: not all of them came. RuntimeFailure: DeepSpeed is not installed.
        """
        from services.sharding.collectives import Joined

        missing = self._lifelines.wait_for(self.size - 1, JOIN_LIMIT_S)
        if missing:
            raise ShardLost(f"rank {missing[0]} did not start within {JOIN_LIMIT_S:.0f} s: see its log")
        try:
            self._joined = Joined(self._place, self._address, self._listener.detach())
        except RuntimeError as error:  # torch.distributed's errors are such
            raise ShardLost(f"the ranks of a shard group did not meet: {error}") from error

    def load_runtime(self, root: Path, artifact: Artifact, config: RuntimeConfig) -> Runtime:
        """Load the artifact at ``root`` as ``models.runtimes.load_runtime``, in all ranks where it is to be sharded."""
        if group_of(config) is not None:
            return self.load(root, artifact, config)
        return load_runtime(root, artifact, config)

    def load(self, root: Path, artifact: Artifact, config: RuntimeConfig) -> "ShardedRuntime":
        """Load the artifact at ``root`` in all ranks, beside the models that are there.

        Raises:
            RuntimeFailure: they cannot load it. ShardLost: one of them cannot, or is gone.
        """
        runtime = config.model_dump(mode="json")
        told: dict[str, Any] = {"root": str(root.resolve()), "version": artifact.version, "runtime": runtime}
        with self._lock:
            if self._joined is None and self.broken is None:
                self.join()
            self._number += 1
            number = self._number
            self._order(Order.LOAD, number, json.dumps(told).encode())
            assert self._joined is not None, "whoever is given an order has joined"
            sums = self._joined.sums
        part, faults = None, [""]
        try:
            part = load_part(sums, **told)
        except RuntimeFailure as error:
            faults = [str(error)]
        faults += [self._told_of(number, rank) for rank in range(1, self.size)]
        if all(faults):
            raise RuntimeFailure(faults[0])
        if any(faults):  # those that could wait for it in the middle of the load
            rank, fault = next((rank, fault) for rank, fault in enumerate(faults) if fault)
            raise self._lost(f"rank {rank} alone cannot load {artifact.name}: {fault}")
        assert part is not None
        return ShardedRuntime(self, number, part)

    def run(self, number: int, part: Runtime, inputs: Inputs) -> Inputs:
        """Run a batch through model ``number``, of which this rank has ``part``.

        Raises:
            RuntimeFailure: the model failed on these inputs. ShardLost: a rank is gone, or hangs.
        """
        with self._lock:
            self._order(Order.RUN, number, pack(inputs))
            try:
                return part.run(inputs)
            except BatchFailure:  # every rank knows, and waits for the next order
                raise
            except OutOfMemory as error:
                raise self._lost(f"rank 0: {error}") from error
            except RuntimeFailure as error:
                self._order(Order.MEET, fault=str(error))
                raise

    def forget(self, number: int) -> None:
        """Drop a model from all ranks, before the next order: whoever calls may be in the middle of one."""
        self._forgotten.append(number)

    def check(self) -> None:
        """Ask all ranks how they are; comes back within a second.

        Raises:
            ShardLost: one is gone, or does not answer.
        """
        if self.broken is None:
            fault = self._lifelines.fault()
            if fault is not None and fault.is_final:
                raise self._lost(str(fault))
            if fault is not None:
                raise ShardLost(f"the shard group is out of order: {fault}")
        if self.broken is not None:
            raise ShardLost(self.broken)
        if self._forgotten and self._lock.acquire(blocking=False):
            try:
                self._order(Order.MEET)
            finally:
                self._lock.release()

    def close(self) -> None:
        """End all other ranks, and leave the group."""
        self.broken = self.broken or "the shard group is closed"
        self._lifelines.close()
        self._listener.close()
        self._others.kill()
        if self._joined is not None:
            with suppress(RuntimeError):
                self._joined.leave()
            self._joined = None

    def _order(self, order: Order, number: int = 0, payload: bytes = b"", *, fault: str = "") -> None:
        """Send an order, the forgotten models' before it; the caller holds the lock.

        fault: what failed. Either all ranks failed alike and are where they were, or they are out of step.
        """
        if self.broken is not None:
            raise ShardLost(self.broken)
        if self._joined is None:
            raise ShardLost("the shard group has not been joined")
        try:
            while self._forgotten:
                self._joined.send(Order.FORGET, self._forgotten.popleft())
            self._joined.send(order, number, payload)
            if order is Order.MEET and not self._joined.meet(fault):
                raise self._lost(f"its ranks are out of step: {fault}")
        except RuntimeError as error:
            raise self._lost(fault or f"a rank does not take part: {error}") from error

    def _told_of(self, number: int, rank: int) -> str:
        """Wait for what a rank says of its load: "" when it went well."""
        assert self._joined is not None
        key, until_s = loaded_key(number, rank), time.monotonic() + LOAD_LIMIT_S
        while not self._joined.store.check([key]):
            fault = self._lifelines.fault()
            if fault is not None and fault.is_final:
                return str(fault)
            if time.monotonic() > until_s:
                return f"rank {rank} has not loaded within {LOAD_LIMIT_S:.0f} s"
            time.sleep(_POLL_S)
        return bytes(self._joined.store.get(key)).decode()

    def _lost(self, why: str) -> ShardLost:
        self.broken = self.broken or f"the shard group is broken: {why}"
        return ShardLost(self.broken)


class ShardedRuntime:
    """A model that is loaded in all ranks; with the last reference to it all drop it."""

    def __init__(self, group: ShardGroup, number: int, part: Runtime) -> None:
        """Run model ``number`` of the group; ``part`` is this rank's."""
        self._group, self._number, self._part = group, number, part
        weakref.finalize(self, group.forget, number)

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the model in all ranks.

        Raises:
            RuntimeFailure: it could not be executed on these inputs. ShardLost: a rank is gone, or hangs.
        """
        return self._group.run(self._number, self._part, inputs)
