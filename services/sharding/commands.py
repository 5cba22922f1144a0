"""The commands of a shard group, and the data with which a rank finds its group."""

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
    """Check that all ranks have the same fault, or none: then they are ready for the same next command."""


@dataclass(frozen=True)
class RankSpec:
    """The data with which a process joins a group as one of its ranks.

    Attributes:
        rank: the number of this rank.
        size: the number of ranks.
        host: the address of rank 0.
        store_port: the port of torch.distributed's store on that host.
        heartbeat_port: the port of the heartbeats on that host.
        token: the secret with which a rank shows that it belongs to the group.
        pid: the process id of rank 0.
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
        """Return the spec of another rank of the same group."""
        return replace(self, rank=rank)
