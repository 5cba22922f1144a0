"""The commands of a shard group, and the data with which a rank finds its group."""

from dataclasses import dataclass, replace
from enum import IntEnum

from models.runtimes.base import Transport

JOIN_LIMIT_S = 60.0
LOAD_LIMIT_S = 300.0


class Command(IntEnum):
    """What rank 0 tells the other ranks to do."""

    RUN = 0
    LOAD = 1
    UNLOAD = 2
    SYNC = 3
    """Compare the faults of all ranks: are they in step?"""


@dataclass(frozen=True)
class RankSpec:
    """Where a group meets, and which of its ranks a process is.

    host, pid: rank 0's address and process. store_port, heartbeat_port: its ports there. timeout_s: the longest time
    that a batch waits for a rank. transport: as configured; None chooses.
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
        """Return the same group's spec of another rank."""
        return replace(self, rank=rank)
