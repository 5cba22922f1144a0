"""The fallback ladder: the ways to do one stage, the best first, and which of them a batch can still afford.

A rung is passed over while it fails (a circuit breaker), where it is expected to miss the batch's earliest deadline,
or to make those late that wait behind the batch. Time is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from services.breaker import Breaker, BreakerConfig
from services.latency import Latency
from services.stages import AnyStage

Why = Literal["failed", "late", "load"]
"""failed: it raised, or is left alone as it did so lately. late: it would miss, or missed, the deadline. load: it
would make those late that wait."""


@dataclass(slots=True, eq=False)
class Rung:
    """One way to do a stage, what it takes, and whether it works."""

    name: str
    stage: AnyStage
    latency: Latency = field(default_factory=Latency)
    breaker: Breaker = field(default_factory=lambda: Breaker(BreakerConfig()))

    def done(self, size: int, elapsed_s: float, now_s: float) -> None:
        """Learn from a batch that went well."""
        self.latency.observe(size, elapsed_s, now_s)
        self.breaker = self.breaker.succeeded()

    def failed(self, now_s: float) -> None:
        """Learn from a batch that did not."""
        self.breaker = self.breaker.failed(now_s)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a stage may take: until the batch's earliest deadline, and without making late what waits behind it."""

    left_s: float
    share_s: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The rung that was chosen, None if none can do it, and why not the first."""

    place: int | None
    why: Why | None


class Ladder:
    """The rungs of one stage; most stages have one."""

    def __init__(self, name: str, rungs: Sequence[Rung]) -> None:
        """Name the stage and its rungs, best first."""
        self.name = name
        self.rungs = tuple(rungs)

    @classmethod
    def of(cls, stage: AnyStage) -> "Ladder":
        """Give the ladder of a stage that can be done one way only."""
        return cls(stage.name, [Rung(stage.name, stage)])

    def choose(self, size: int, budget: Budget, now_s: float, *, first: int = 0) -> Choice:
        """Give the best rung from ``first`` on that works and is expected to keep the budget."""
        why: Why | None = None
        for place, rung in enumerate(self.rungs[first:], first):
            allowed, asked = rung.breaker.asked(now_s)
            fault = _fault(allowed, rung.latency.expected_s(size, now_s), budget)
            if fault is None:
                rung.breaker = asked
                return Choice(place, why)
            why = why or fault
        return Choice(None, why)

    def expected_s(self, size: int, now_s: float) -> float:
        """Give what the stage will take by its best rung that works; 0 where none does."""
        for rung in self.rungs:
            if rung.breaker.asked(now_s)[0]:
                return rung.latency.expected_s(size, now_s)
        return 0.0


def _fault(allowed: bool, expected_s: float, budget: Budget) -> Why | None:
    if not allowed:
        return "failed"
    if expected_s > budget.left_s:
        return "late"
    return "load" if expected_s > budget.share_s else None
