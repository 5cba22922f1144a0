"""Orders of a shard group: what rank 0 has the other ranks do, and where they meet."""

from dataclasses import dataclass, replace
from enum import IntEnum

JOIN_LIMIT_S = 60.0
LOAD_LIMIT_S = 300.0


class Order(IntEnum):
    """What rank 0 has all ranks do."""

    RUN = 0
    LOAD = 1
    FORGET = 2
    MEET = 3


@dataclass(frozen=True)
class Place:
    """Where a group meets, and who one is in it.

    host, pid: rank 0's address and process. store_port, lifeline_port: there. timeout_s: what a batch waits for a rank.
    """

    rank: int
    size: int
    host: str
    store_port: int
    lifeline_port: int
    token: bytes
    pid: int
    timeout_s: float

    def of(self, rank: int) -> "Place":
        """Give another rank's."""
        return replace(self, rank=rank)
