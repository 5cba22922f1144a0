"""Nodes, the replicas on them, and the accounts that are kept of both."""

import math
from dataclasses import dataclass, field
from typing import Literal

from autoscale.spec import Key, PlacedUnit

Did = Literal["opened", "closed", "died", "gone"]


@dataclass(slots=True, eq=False)
class Node:
    """One node; left: cpus, gpus, MiB. lost_s: when a spot node will be taken back."""

    number: int
    pool: str
    ready_s: float
    left: list[float]
    lost_s: float = math.inf
    noticed: bool = False
    empty_since_s: float = 0.0
    replicas: "set[Replica]" = field(default_factory=set)

    def has_room(self, needs: tuple[float, float, float]) -> bool:
        """Whether a replica that needs so much fits."""
        cpus, gpus, mib = self.left
        rounding = 1e-9
        return not self.noticed and all(
            (cpus + rounding >= needs[0], gpus + rounding >= needs[1], mib + rounding >= needs[2])
        )


@dataclass(slots=True, eq=False)
class Replica:
    """One replica; it waits for a node, starts, is open, drains. counts: towards its key's target."""

    number: int
    key: Key
    node: Node | None = None
    ready_s: float = math.inf
    is_open: bool = False
    drains_since_s: float = math.inf
    counts: bool = True


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What an engine must do about a replica: route to it, no more, or see what it held lost. gone: forget it."""

    did: Did
    replica: Replica


@dataclass(slots=True)
class Account:
    """Seconds so far, and what they run on by."""

    seconds: float = 0.0
    count: int = 0
    peak: int = 0
    started: int = 0
    lost: int = 0

    def pass_time(self, elapsed_s: float) -> None:
        """Add the time that passed."""
        self.seconds += self.count * elapsed_s

    def change(self, by: int) -> None:
        """Count more or fewer."""
        self.count += by
        self.peak = max(self.peak, self.count)


def needs_of(placed: PlacedUnit) -> tuple[float, float, float]:
    """Give the cpus, gpus and MiB that a replica takes of a node."""
    return placed.cpus, placed.gpus, placed.profile.memory_mib
