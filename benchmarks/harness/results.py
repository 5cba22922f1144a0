"""What a load run gives: counts and latencies of one window."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Answered(NamedTuple):
    """An answer as it came, head and body, with when its request was due and when it had come, in seconds."""

    started_s: float
    answered_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One window of load.

    rps: good answers (2xx) a second of the window. Latencies are of all answers, in milliseconds; in an
    open loop from the scheduled time. missed: scheduled, but unanswered when the window and its grace had
    passed. send_lag_p99_ms: how late an open loop sent; large means that the client was the bottleneck.
    client_core_ms: CPU of the load generator, a request.
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
        """Give plain data for JSON."""
        return asdict(self)


def percentiles_ms(latencies_s: ArrayLike) -> tuple[float, float, float]:
    """Give p50, p99 and p999 in milliseconds; NaN without a latency."""
    values = np.asarray(latencies_s, dtype=np.float64) * 1e3
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    p50, p99, p999 = np.percentile(values, [50, 99, 99.9])
    return float(p50), float(p99), float(p999)


def good_count(statuses: Counter[int]) -> int:
    """Give the number of 2xx answers."""
    return sum(count for status, count in statuses.items() if 200 <= status < 300)
