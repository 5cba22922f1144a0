"""A fault as its callers see it: what was answered before, while and after, and when all was whole again."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.harness.results import Answered, LoadResult, percentiles_ms

_DEGRADED = re.compile(rb'"degraded":"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Moments:
    """When the fault came, when its cause was taken away (None: the system has to mend itself), and when
    what was lost had been replaced (None: nothing had to be); seconds of the clock that answers carry.
    """

    injured_s: float
    mended_s: float | None
    replaced_s: float | None


@dataclass(frozen=True, slots=True)
class Outage:
    """One fault, as seen by its callers.

    recovered_s: from the mending, or where nothing is mended from the fault, to the last answer that was refused,
    incomplete or later than its deadline; 0 where there is none. replaced_s: from the fault to the replacement.
    p99 before the fault, from it to the recovery, and after; of all answers, from their scheduled times.
    lost: connections broken off with a request in flight. missed: never answered.
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
        """Answers with a 5xx status."""
        return sum(count for status, count in self.statuses.items() if status.startswith("5"))


def is_whole(answer: Answered) -> bool:
    """Whether it is a 200 that lacks nothing."""
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
    """Read the answers of an open loop that ran through a fault."""
    ended_s = moments.injured_s if moments.mended_s is None else moments.mended_s
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
    before = [took for at, took in latency if at < moments.injured_s]
    during = [took for at, took in latency if moments.injured_s <= at <= last_bad_s]
    after = [took for at, took in latency if at > last_bad_s]
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
