"""A load run's results: counts and latencies for one window."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Answered(NamedTuple):
    """An answer (head and body), the time at which its request was scheduled, and the time at which the answer came."""

    started_s: float
    answered_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One window of load.

    Latencies cover all answers, in milliseconds. In an open loop they count from the scheduled time.

    Attributes:
        rps: good answers (2xx) per second.
        errors: requests whose connection was lost.
        missed: requests that were scheduled but not answered when the window and its grace time had passed.
        send_lag_p99_ms: p99 of an open loop's sending delay. If it is large, the client was the bottleneck.
        client_core_ms: the load generator's CPU milliseconds per request.
    """

    client: str
    loop: str
    clients: int
    offered_rps: float | None
    window_s: float
    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    statuses: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    missed: int = 0
    send_lag_p99_ms: float = 0.0
    client_core_ms: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def percentiles_ms(latencies_s: ArrayLike) -> tuple[float, float, float]:
    """Return p50, p99 and p999 in milliseconds, or NaN if there is no latency."""
    values = np.asarray(latencies_s, dtype=np.float64) * 1e3
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    p50, p99, p999 = np.percentile(values, [50, 99, 99.9])
    return float(p50), float(p99), float(p999)


def good_count(statuses: Counter[int]) -> int:
    """Return how many answers are 2xx."""
    return sum(count for status, count in statuses.items() if 200 <= status < 300)
