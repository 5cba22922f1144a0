"""A fault as its callers see it: the answers before, during and after it, and the time to recovery."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.harness.results import Answered, LoadResult, percentiles_ms

_DEGRADED = re.compile(rb'"degraded":"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Moments:
    """A fault's times, in seconds on the answers' clock.

    Attributes:
        injured_s: when the fault happened.
        repaired_s: when the fault's cause was removed. None if the system has to recover by itself.
        replaced_s: when the replacement had taken over. None if nothing had to be replaced.
    """

    injured_s: float
    repaired_s: float | None
    replaced_s: float | None


@dataclass(frozen=True, slots=True)
class Outage:
    """One fault, as its callers saw it.

    The p99 figures cover all answers, from their scheduled times. "During" lasts from the fault to the recovery.

    Attributes:
        recovered_s: time to the last answer that was refused, degraded or late, or 0 if there was none. It counts from
            the repair, or from the fault if nothing is repaired.
        replaced_s: time from the fault until a replacement took over.
        lost: connections that broke with a request in flight.
        missed: requests that were never answered.
    """

    name: str
    what: str
    recovered_s: float
    replaced_s: float | None
    answers: int
    statuses: dict[str, int]
    degraded: dict[str, int]
    lost: int
    missed: int
    p99_before_ms: float
    p99_during_ms: float
    p99_after_ms: float
    worst_ms: float
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def server_errors(self) -> int:
        """How many answers have a 5xx status."""
        return sum(count for status, count in self.statuses.items() if status.startswith("5"))


def is_whole(answer: Answered) -> bool:
    """Return whether the answer is an undegraded 200."""
    return answer.data[9:12] == b"200" and _DEGRADED.search(answer.data) is None


def outage_of(
    name: str,
    what: str,
    answers: Sequence[Answered],
    load: LoadResult,
    moments: Moments,
    deadline_s: float,
    notes: dict[str, float],
) -> Outage:
    """Evaluate the answers from an open loop during which a fault happened."""
    ended_s = moments.injured_s if moments.repaired_s is None else moments.repaired_s
    statuses: Counter[str] = Counter()
    degraded: Counter[str] = Counter()
    last_bad_s = ended_s
    for answer in answers:
        status, reason = answer.data[9:12].decode(), _DEGRADED.search(answer.data)
        statuses[status] += 1
        if reason is not None:
            degraded[reason[1].decode()] += 1
        late = answer.answered_s - answer.started_s > deadline_s
        if (late or not is_whole(answer)) and answer.answered_s > moments.injured_s:
            last_bad_s = max(last_bad_s, answer.answered_s)
    latency = [(a.answered_s, a.answered_s - a.started_s) for a in answers]
    before = [took for time_s, took in latency if time_s < moments.injured_s]
    during = [took for time_s, took in latency if moments.injured_s <= time_s <= last_bad_s]
    after = [took for time_s, took in latency if time_s > last_bad_s]
    return Outage(
        name=name,
        what=what,
        recovered_s=last_bad_s - ended_s,
        replaced_s=None if moments.replaced_s is None else moments.replaced_s - moments.injured_s,
        answers=len(answers),
        statuses=dict(sorted(statuses.items())),
        degraded=dict(sorted(degraded.items())),
        lost=load.errors,
        missed=load.missed,
        p99_before_ms=percentiles_ms(before)[1],
        p99_during_ms=percentiles_ms(during)[1],
        p99_after_ms=percentiles_ms(after)[1],
        worst_ms=1e3 * max((took for _, took in latency), default=float("nan")),
        notes=notes,
    )
