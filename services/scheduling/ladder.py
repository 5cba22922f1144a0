"""The fallback ladder: a stage's alternatives, best first, and the choice among them for a batch.

A rung is skipped if its circuit breaker is open, if it is expected to miss the deadline, or if it would make the
waiting requests late. Each request has its own deadline, so one batch may be divided among several rungs.

A rung's expected time may come from one slow batch. If a rung is skipped just because of its expected time, it is run
from time to time as a probe. A probe runs if the expected time is at least one second old, and if the rung below would
still meet the deadline. Each probe is followed by a pause of nine times its duration. Time is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.breaker import Breaker, BreakerConfig, State
from services.scheduling.latency import Latency
from services.stages.base import AnyStage, Why

PROBE_AFTER_S = 1.0
_PAUSE_PER_PROBE_TIME = 9.0
"""The pause after a probe, as a multiple of the probe's duration. Probes therefore take at most a tenth of the time."""
_HUNG_FACTOR, _HUNG_MIN_S = 4.0, 0.1
"""A batch hangs if it takes this many times its expected time, and at least this many seconds."""


@dataclass(slots=True, eq=False)
class Rung:
    """One alternative for a stage.

    Several threads may use it, because its times and its breaker are replaced and never changed. If two threads record
    batches at the same time, one of the records may be lost.

    Attributes:
        name: the rung's name in degraded answers.
        latency: the rung's expected time.
        breaker: whether the rung works.
        probe_from_s: no probe begins before this time.
    """

    name: str
    stage: AnyStage
    latency: Latency = field(default_factory=Latency)
    breaker: Breaker = field(default_factory=lambda: Breaker(BreakerConfig()))
    probe_from_s: float = 0.0

    def done(self, size: int, elapsed_s: float, now_s: float, *, is_probe: bool = False) -> None:
        """Learn from a successful batch."""
        if is_probe:
            self.latency.correct(size, elapsed_s, now_s)
            self._pause(elapsed_s, now_s)
        else:
            self.latency.observe(size, elapsed_s, now_s)
        self.breaker = self.breaker.succeeded()

    def failed(self, now_s: float, *, probed_s: float = 0.0) -> None:
        """Learn from a failed batch. ``probed_s`` is its duration if it was a probe."""
        self._pause(probed_s, now_s)
        self.breaker = self.breaker.failed(now_s)

    def abandoned(self, size: int, elapsed_s: float, now_s: float, *, is_probe: bool = False) -> None:
        """Learn from a batch that ran for ``elapsed_s`` before its last request stopped waiting.

        The batch counts as a failure only if it ran for far longer than expected. Otherwise, a caller with a short
        deadline could open the breaker for all callers.
        """
        expected_s = self.latency.expected_s(size)
        if elapsed_s >= max(_HUNG_FACTOR * expected_s, _HUNG_MIN_S):
            self.failed(now_s, probed_s=elapsed_s if is_probe else 0.0)
            return
        if elapsed_s > expected_s:  # a shorter wait tells nothing about the rung's time
            self.latency.observe(size, elapsed_s, now_s)
        if is_probe:
            self._pause(elapsed_s, now_s)

    def takes_all(self, size: int, most_s: float) -> bool:
        """Return whether the rung works and a batch of ``size`` is expected to take at most ``most_s``."""
        return self.breaker.state is State.CLOSED and self.latency.expected_s(size) <= most_s

    def may_probe(self, size: int, now_s: float) -> bool:
        """Return whether the expected time for ``size`` is old enough to be checked."""
        return now_s >= self.probe_from_s and self.latency.age_s(size, now_s) >= PROBE_AFTER_S

    def _pause(self, elapsed_s: float, now_s: float) -> None:
        self.probe_from_s = max(self.probe_from_s, now_s + _PAUSE_PER_PROBE_TIME * elapsed_s)


@dataclass(frozen=True, slots=True)
class Part:
    """The requests in a batch that take one rung.

    Attributes:
        rung: the rung's index. None if no remaining rung can serve the requests in time.
        members: the request indices in the batch, ascending.
        why: why the requests do not take a better rung. None if there is no better rung.
        is_probe: whether the rung runs to check its expected time.
    """

    rung: int | None
    members: tuple[int, ...]
    why: Why | None
    is_probe: bool = False


class Ladder:
    """One stage's rungs. Most stages have a single rung."""

    def __init__(self, name: str, rungs: Sequence[Rung]) -> None:
        """Create the ladder for the stage ``name``, with the rungs best first."""
        self.name = name
        self.rungs = tuple(rungs)

    @classmethod
    def from_stage(cls, stage: AnyStage) -> "Ladder":
        """Return a ladder for a stage without alternatives."""
        return cls(stage.name, [Rung(stage.name, stage)])

    def divide(
        self, sizes: Sequence[int], left_s: Sequence[float], share_s: float, now_s: float, *, first: int = 0
    ) -> list[Part]:
        """Divide a batch among the rungs from ``first`` on. Each request takes the best rung that meets its deadline.

        Args:
            sizes: the candidate count per request.
            left_s: for each request, the time that its deadline leaves to this stage.
            share_s: the time that the waiting requests leave to this stage.
            now_s: the present time.
            first: the index of the best allowed rung.

        Returns:
            The parts, better rungs first. Every request is in exactly one part.
        """
        if first < len(self.rungs) and self.rungs[first].takes_all(sum(sizes), min(share_s, *left_s)):
            return [Part(first, tuple(range(len(sizes))), None)]
        parts: list[Part] = []
        # The most patient requests come first, so the requests that a rung would make late come last.
        remaining = list(range(len(sizes)))
        if len(remaining) > 1:
            remaining.sort(key=lambda member: -left_s[member])
        why: Why | None = None
        for index, rung in enumerate(self.rungs[first:], first):
            breaker = rung.breaker
            allowed, next_breaker = breaker.admit(now_s)
            if not allowed:
                why = why or "failed"
                continue
            size = sum(sizes[member] for member in remaining)
            overloads = rung.latency.expected_s(size) > share_s
            count = 0 if overloads else _in_time(rung.latency, remaining, sizes, left_s)
            is_probe = count == 0 and rung.may_probe(size, now_s)
            if is_probe:
                count = self._still_safe(index + 1, remaining, sizes, left_s, now_s)
            if count:
                if rung.breaker is breaker:  # otherwise another thread has just recorded a failure
                    rung.breaker = next_breaker
                if is_probe:
                    rung.probe_from_s = now_s + PROBE_AFTER_S
                parts.append(Part(index, tuple(sorted(remaining[:count])), why, is_probe))
                remaining = remaining[count:]
                if not remaining:
                    return parts
            why = why or ("load" if overloads else "late")
        return [*parts, Part(None, tuple(sorted(remaining)), why)]

    def cheapest_s(self, size: int, now_s: float) -> float:
        """Return the fastest working rung's expected time. 0 if no rung works."""
        return min(
            [rung.latency.expected_s(size) for rung in self.rungs if rung.breaker.admit(now_s)[0]],
            default=0.0,
        )

    def _still_safe(
        self, below: int, members: list[int], sizes: Sequence[int], left_s: Sequence[float], now_s: float
    ) -> int:
        """Count the requests that the next working rung could serve in time. Memory serves at once."""
        for rung in self.rungs[below:]:
            if rung.breaker.admit(now_s)[0]:
                return _in_time(rung.latency, members, sizes, left_s)
        return sum(left_s[member] > 0 for member in members)


def needs_s(ladders: Sequence[Ladder], size: int, now_s: float) -> list[float]:
    """Return for each stage the expected time of its best rung and of the cheapest rungs of all stages after it."""
    needs, after_s = [], 0.0
    for ladder in reversed(ladders):
        best_s = ladder.rungs[0].latency.expected_s(size)
        needs.append(best_s + after_s)
        after_s += ladder.cheapest_s(size, now_s) if len(ladder.rungs) > 1 else best_s
    return needs[::-1]


def _in_time(latency: Latency, members: list[int], sizes: Sequence[int], left_s: Sequence[float]) -> int:
    """Count the requests that would all be in time as one batch, taking the most patient requests first."""
    count, size = len(members), sum(sizes[member] for member in members)
    while count and latency.expected_s(size) > left_s[members[count - 1]]:
        count -= 1
        size -= sizes[members[count]]
    return count
