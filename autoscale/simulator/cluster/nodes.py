"""Nodes and their replicas, with accounts of how many there are, and for how long."""

import math
from dataclasses import dataclass, field
from typing import Literal

from autoscale.spec import Key, PlacedUnit

Did = Literal["opened", "closed", "died", "gone"]


@dataclass(slots=True, eq=False)
class Node:
    """One node.

    Attributes:
        number: unique number, in order of creation.
        ready_s: when the node is up.
        left: free CPUs, GPUs and MiB.
        lost_s: when a spot node is reclaimed.
        noticed: whether its loss was announced. Then the node takes no new replicas.
        empty_since_s: time since which it has no replicas.
    """

    number: int
    pool: str
    ready_s: float
    left: list[float]
    lost_s: float = math.inf
    noticed: bool = False
    empty_since_s: float = 0.0
    replicas: "set[Replica]" = field(default_factory=set)

    def has_room(self, needs: tuple[float, float, float]) -> bool:
        """Return whether a replica with these needs (CPUs, GPUs, MiB) fits."""
        cpus, gpus, mib = self.left
        rounding = 1e-9
        return not self.noticed and all(
            (cpus + rounding >= needs[0], gpus + rounding >= needs[1], mib + rounding >= needs[2])
        )


@dataclass(slots=True, eq=False)
class Replica:
    """One replica. It waits for a node, starts, is open, and drains.

    Attributes:
        number: unique number, in order of creation.
        key: its unit and pool.
        node: its node. None while it waits for one, and after its removal.
        ready_s: when it is ready.
        is_open: whether requests are routed to it.
        drains_since_s: when it began to drain.
        counts: whether it counts towards its key's target.
    """

    number: int
    key: Key
    node: Node | None = None
    ready_s: float = math.inf
    is_open: bool = False
    drains_since_s: float = math.inf
    counts: bool = True


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A replica change that an engine must apply.

    Attributes:
        did: "opened": start routing to it. "closed": stop routing to it. "died": its requests are lost. "gone": it is
            removed without loss.
        replica: the replica.
    """

    did: Did
    replica: Replica


@dataclass(slots=True)
class Account:
    """An account of replicas or nodes: how many there are, and for how long in total.

    Attributes:
        seconds: total seconds.
        count: present number.
        peak: highest number so far.
        started: how many were started.
        lost: how many were lost.
    """

    seconds: float = 0.0
    count: int = 0
    peak: int = 0
    started: int = 0
    lost: int = 0

    def pass_time(self, elapsed_s: float) -> None:
        """Add ``elapsed_s`` for each replica or node that is counted now."""
        self.seconds += self.count * elapsed_s

    def change(self, by: int) -> None:
        """Change the present number by ``by``."""
        self.count += by
        self.peak = max(self.peak, self.count)


def needs_of(placed: PlacedUnit) -> tuple[float, float, float]:
    """Return the CPUs, GPUs and MiB that a replica needs."""
    return placed.cpus, placed.gpus, placed.profile.memory_mib
