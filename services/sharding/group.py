"""A shard group: one replica's models over several processes. Rank 0 is the replica's own process.

In a service every other rank is an actor, ``services.sharding.actors.Shard``, on a bundle in the replica's placement
group. Serve places and removes all bundles together with the replica. A lost rank breaks the group for good. Batches
then fail, at once or after ``timeout_s``. The health check fails too, and Serve replaces the whole replica.
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
from models.runtimes.base import GroupOptions, Runtime, Transport, group_of
from models.runtimes.kinds.registry import RUNTIMES, RuntimeConfig
from models.signature import Inputs
from services.errors import ShardLost
from services.sharding.commands import JOIN_LIMIT_S, LOAD_LIMIT_S, Command, RankSpec
from services.sharding.follower import load_part, load_result_key
from services.sharding.heartbeat import HeartbeatMonitor
from services.sharding.processes import RankLauncher
from services.sharding.transport import check_transport
from services.wire import pack

if TYPE_CHECKING:
    from services.sharding.collectives import Collectives

_POLL_S = 0.02


class ShardGroup:
    """The group as rank 0 uses it. It loads models in all ranks. One batch runs at a time, in all ranks.

    Attributes:
        size: the rank count, including rank 0.
        broken: the reason why no further batch can run. None while the group works.
        heartbeats: rank 0's connections that show whether the other ranks are alive.
    """

    def __init__(self, config: GroupOptions, launcher: RankLauncher, address: str = "127.0.0.1") -> None:
        """Start the other ranks. The first load waits for them.

        Args:
            config: the rank count, the transport and the time limit for a batch.
            launcher: starts and ends the other ranks.
            address: the address at which other ranks reach this machine.

        Raises:
            ConfigError: this machine cannot use the configured transport.
        """
        check_transport(config.transport)
        self.size = config.shards
        self.broken: str | None = None
        self._address, self._launcher = address, launcher
        self.heartbeats = HeartbeatMonitor(address)
        self._listener = socket.create_server((address, 0))
        self._spec = RankSpec(
            rank=0,
            size=config.shards,
            host=address,
            store_port=int(self._listener.getsockname()[1]),
            heartbeat_port=self.heartbeats.port,
            token=self.heartbeats.token,
            pid=os.getpid(),
            timeout_s=config.timeout_s,
            transport=config.transport,
        )
        self._collectives: Collectives | None = None
        self._lock = threading.Lock()  # so that all ranks get the commands in the same order
        self._unloaded: deque[int] = deque()
        self._number = 0
        launcher.start(self._spec)

    @property
    def transport(self) -> Transport | None:
        """The transport in use, or None until the ranks have joined."""
        return None if self._collectives is None else self._collectives.transport

    def join(self) -> None:
        """Join the other ranks.

        Raises:
            ShardLost: not all ranks have joined.
            ConfigError: the ranks cannot use the configured transport.
            RuntimeFailure: DeepSpeed is not installed.
        """
        from services.sharding.collectives import Collectives

        missing = self.heartbeats.wait_for(self.size - 1, JOIN_LIMIT_S)
        if missing:
            raise ShardLost(f"rank {missing[0]} did not start within {JOIN_LIMIT_S:.0f} s; see its log")
        try:
            self._collectives = Collectives(self._spec, self._address, self._listener.detach())
        except RuntimeError as error:  # torch.distributed raises subclasses of it
            raise ShardLost(f"the ranks of a shard group could not connect: {error}") from error

    def load_runtime(self, root: Path, artifact: Artifact, config: RuntimeConfig) -> Runtime:
        """Load the artifact at ``root``. A sharded runtime is loaded in all ranks, any other only in this process."""
        if group_of(config) is not None:
            return self.load(root, artifact, config)
        return load_runtime(root, artifact, config)

    def load(self, root: Path, artifact: Artifact, config: RuntimeConfig) -> "ShardedRuntime":
        """Load the artifact at ``root`` in all ranks. Models that are already loaded stay.

        Raises:
            RuntimeFailure: no rank can load the artifact.
            ShardLost: only some ranks can load it, or a rank is lost.
        """
        runtime = config.model_dump(mode="json")
        request: dict[str, Any] = {
            "root": str(root.resolve()),
            "version": artifact.version,
            "runtime": runtime,
            "trust": RUNTIMES.packages_of(config),
        }
        with self._lock:
            if self._collectives is None and self.broken is None:
                self.join()
            self._number += 1
            number = self._number
            self._send(Command.LOAD, number, json.dumps(request).encode())
            assert self._collectives is not None, "_send has checked that the group has been joined"
            model_group = self._collectives.model_group
        part, faults = None, [""]
        try:
            part = load_part(model_group, **request)
        except RuntimeFailure as error:
            faults = [str(error)]
        faults += [self._load_result(number, rank) for rank in range(1, self.size)]
        if all(faults):
            raise RuntimeFailure(faults[0])
        if any(faults):  # the other ranks wait for the failed rank in the middle of their load
            rank, fault = next((rank, fault) for rank, fault in enumerate(faults) if fault)
            raise self._lost(f"rank {rank} cannot load {artifact.name} although other ranks can: {fault}")
        assert part is not None
        return ShardedRuntime(self, number, part)

    def run(self, number: int, part: Runtime, inputs: Inputs) -> Inputs:
        """Run a batch in all ranks.

        Args:
            number: the model's number in this group.
            part: this rank's part of the model.
            inputs: the batch.

        Raises:
            RuntimeFailure: the model failed on these inputs.
            ShardLost: a rank has ended or hangs.
        """
        with self._lock:
            self._send(Command.RUN, number, pack(inputs))
            try:
                return part.run(inputs)
            except BatchFailure:  # every rank has this error, and waits for the next command
                raise
            except OutOfMemory as error:
                raise self._lost(f"rank 0: {error}") from error
            except RuntimeFailure as error:
                self._send(Command.SYNC, fault=str(error))
                raise

    def unload(self, number: int) -> None:
        """Drop a model from all ranks before the next command. This sends nothing, because a batch may be running."""
        self._unloaded.append(number)

    def check(self) -> None:
        """Probe all ranks. This takes at most 0.7 s.

        If no batch is running, the check then also tells all ranks to drop the unloaded models. Each such command waits
        up to ``timeout_s`` for a rank that does not respond.

        Raises:
            ShardLost: a rank has ended or does not answer.
        """
        if self.broken is None:
            fault = self.heartbeats.probe()
            if fault is not None and fault.is_final:
                raise self._lost(str(fault))
            if fault is not None:
                raise ShardLost(f"the shard group does not work: {fault}")
        if self.broken is not None:
            raise ShardLost(self.broken)
        if self._unloaded and self._lock.acquire(blocking=False):
            try:
                self._send(Command.SYNC)
            finally:
                self._lock.release()

    def close(self) -> None:
        """End all other ranks, and leave the group."""
        self.broken = self.broken or "the shard group is closed"
        self.heartbeats.close()
        self._listener.close()
        self._launcher.kill()
        if self._collectives is not None:
            with suppress(RuntimeError):
                self._collectives.leave()
            self._collectives = None

    def _send(self, command: Command, number: int = 0, payload: bytes = b"", *, fault: str = "") -> None:
        """Send a drop command for each unloaded model, and then ``command``. The caller holds the lock.

        Args:
            command: the command.
            number: the model's number.
            payload: the command's data.
            fault: why the batch failed, for a SYNC. The group is lost unless all ranks failed for the same reason.

        Raises:
            ShardLost: a rank has ended or hangs, or the ranks failed for different reasons.
        """
        if self.broken is not None:
            raise ShardLost(self.broken)
        if self._collectives is None:
            raise ShardLost("the shard group has not been joined")
        try:
            while self._unloaded:
                self._collectives.send(Command.UNLOAD, self._unloaded.popleft())
            self._collectives.send(command, number, payload)
            if command is Command.SYNC and not self._collectives.agree(fault):
                raise self._lost(f"the ranks have different results: {fault}")
        except RuntimeError as error:
            raise self._lost(fault or f"a rank does not respond: {error}") from error

    def _load_result(self, number: int, rank: int) -> str:
        """Wait until a rank has loaded the model. Return "", or the reason why it failed."""
        assert self._collectives is not None
        key, until_s = load_result_key(number, rank), time.monotonic() + LOAD_LIMIT_S
        while not self._collectives.store.check([key]):
            fault = self.heartbeats.probe()
            if fault is not None and fault.is_final:
                return str(fault)
            if time.monotonic() > until_s:
                return f"rank {rank} has not loaded within {LOAD_LIMIT_S:.0f} s"
            time.sleep(_POLL_S)
        return bytes(self._collectives.store.get(key)).decode()

    def _lost(self, why: str) -> ShardLost:
        self.broken = self.broken or f"the shard group is broken: {why}"
        return ShardLost(self.broken)


class ShardedRuntime:
    """A model that is loaded in all ranks. The ranks drop it after the last reference to this object is gone."""

    def __init__(self, group: ShardGroup, number: int, part: Runtime) -> None:
        """Keep a model that the group has loaded.

        Args:
            group: the shard group.
            number: the model's number in the group.
            part: this rank's part of the model.
        """
        self._group, self._number, self._part = group, number, part
        weakref.finalize(self, group.unload, number)

    def run(self, inputs: Inputs) -> Inputs:
        """Run a batch in all ranks.

        Raises:
            RuntimeFailure: the model failed on these inputs.
            ShardLost: a rank has ended or hangs.
        """
        return self._group.run(self._number, self._part, inputs)
