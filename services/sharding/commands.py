"""A shard group's commands, and the data with which a rank finds its group."""

from dataclasses import dataclass, replace
from enum import IntEnum

from models.runtimes.base import Transport

JOIN_LIMIT_S = 60.0
LOAD_LIMIT_S = 300.0


class Command(IntEnum):
    """The commands from rank 0 to the other ranks."""

    RUN = 0
    LOAD = 1
    UNLOAD = 2
    SYNC = 3
    """Check that all ranks have the same fault or none has a fault. Then all are ready for the same next command."""


@dataclass(frozen=True)
class RankSpec:
    """The data with which a process joins a group as one of its ranks.

    Attributes:
        rank: this rank's number.
        size: the rank count, including rank 0.
        host: rank 0's address.
        store_port: the port on that host for torch.distributed's store.
        heartbeat_port: the port on that host for heartbeats.
        token: the secret with which a rank shows that it belongs to the group.
        pid: rank 0's process id.
        timeout_s: the longest time in seconds that a batch waits for a rank.
        transport: the configured transport. None chooses shared memory if all ranks can use it, otherwise gloo.
    """

    rank: int
    size: int
    host: str
    store_port: int
    heartbeat_port: int
    token: bytes
    pid: int
    timeout_s: float
    transport: Transport | None

    def for_rank(self, rank: int) -> "RankSpec":
        """Return the spec for another rank of this group."""
        return replace(self, rank=rank)
