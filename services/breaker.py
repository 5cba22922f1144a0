"""A circuit breaker: a dependency that fails is left alone for a while, then asked once, then used again.

    closed ──failures in a row──> open ──retry_after──> half-open ──a probe succeeds──> closed
                                    ^────────────────────── a probe fails ──────────────┘

A pure state machine: each event gives the next state, and time is an argument (Nygard, Release It!, 2007).
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class BreakerConfig(BaseModel):
    """When a dependency is left alone: after so many failures in a row, for so long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(default=3, ge=1, le=1000)
    retry_after_ms: float = Field(default=500.0, gt=0, le=600_000)


class State(Enum):
    """Closed: calls go through. Open: none does. Half-open: one at a time does."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state after what has happened. since_s: when it opened, or when the present probe began."""

    config: BreakerConfig
    state: State = State.CLOSED
    failures: int = 0
    since_s: float = 0.0

    def asked(self, now_s: float) -> tuple[bool, Self]:
        """Give whether a call may go through, and the state if it does.

        A probe of which nothing was heard for as long as the breaker stays open counts as lost.
        """
        if self.state is State.CLOSED:
            return True, self
        if now_s - self.since_s < self.config.retry_after_ms / 1e3:
            return False, self
        return True, replace(self, state=State.HALF_OPEN, since_s=now_s)

    def succeeded(self) -> Self:
        """Give the state after a call that went well: closed, whenever that call began."""
        if self.state is State.CLOSED and self.failures == 0:
            return self
        return replace(self, state=State.CLOSED, failures=0)

    def failed(self, now_s: float) -> Self:
        """Give the state after a call that failed."""
        failures = self.failures + 1
        if self.state is State.OPEN:
            return replace(self, failures=failures)  # a call from before it opened: the wait grows no longer
        if self.state is State.HALF_OPEN or failures >= self.config.failures:
            return replace(self, state=State.OPEN, failures=failures, since_s=now_s)
        return replace(self, failures=failures)
