"""A circuit breaker: it stops calls to a failing dependency for a while, then tries one call before it resumes.

    closed ──failures in a row──> open ──retry_after──> half-open ──a probe succeeds──> closed
                                    ^────────────────────── a probe fails ──────────────┘

The breaker is a pure state machine. Each event returns the next state, and time is an argument. See Nygard, Release
It!, 2007.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class BreakerConfig(BaseModel):
    """When the breaker opens, and for how long.

    Attributes:
        failures: failures in a row that open the breaker.
        retry_after_ms: milliseconds until the next probe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(default=3, ge=1, le=1000)
    retry_after_ms: float = Field(default=500.0, gt=0, le=600_000)


class State(Enum):
    """A breaker's states.

    A closed breaker lets all calls through, an open one none, and a half-open one a single call at a time.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state after all events so far.

    Attributes:
        config: when the breaker opens, and for how long.
        state: which calls go through.
        failures: failures in a row.
        since_s: when the breaker opened, or when the present probe began.
    """

    config: BreakerConfig
    state: State = State.CLOSED
    failures: int = 0
    since_s: float = 0.0

    def admit(self, now_s: float) -> tuple[bool, Self]:
        """Return whether a call may go through, and the breaker's next state.

        If a probe has no result after ``retry_after_ms``, it counts as lost.
        """
        if self.state is State.CLOSED:
            return True, self
        if now_s - self.since_s < self.config.retry_after_ms / 1e3:
            return False, self
        return True, replace(self, state=State.HALF_OPEN, since_s=now_s)

    def succeeded(self) -> Self:
        """Return the state after a successful call: closed, even if the call began before the breaker opened."""
        if self.state is State.CLOSED and self.failures == 0:
            return self
        return replace(self, state=State.CLOSED, failures=0)

    def failed(self, now_s: float) -> Self:
        """Return the state after a failed call."""
        failures = self.failures + 1
        if self.state is State.OPEN:
            # The call began before the breaker opened, so the pause does not become longer.
            return replace(self, failures=failures)
        if self.state is State.HALF_OPEN or failures >= self.config.failures:
            return replace(self, state=State.OPEN, failures=failures, since_s=now_s)
        return replace(self, failures=failures)
