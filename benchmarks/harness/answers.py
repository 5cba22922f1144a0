"""What the service says of itself in its answers: stage times and, from them, the batches it formed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from benchmarks.harness.results import Answered


class _Body(msgspec.Struct):
    timings_ms: dict[str, float]
    degraded: Any = None


@dataclass(frozen=True, slots=True)
class Batches:
    """requests_by_batch: how many batches had how many requests. stage_ms: mean wall time of a batch in a stage.

    queue_ms: mean wait of a request for its batch.
    """

    requests_by_batch: dict[int, int]
    stage_ms: dict[str, float]
    queue_ms: float
    degraded: int

    @property
    def mean_requests(self) -> float:
        """Requests a batch."""
        batches = sum(self.requests_by_batch.values())
        return sum(size * count for size, count in self.requests_by_batch.items()) / max(1, batches)


def read_batches(answers: Sequence[Answered]) -> Batches:
    """Read the window's answers, in the order they came.

    The requests of a batch share its stage times, to the microsecond, and were all sent before the first
    of them was answered: two answers of which both hold are taken for one batch.
    """
    decode = msgspec.json.Decoder(_Body).decode
    sizes: list[int] = []
    open_groups: dict[tuple[tuple[str, float], ...], tuple[int, float]] = {}
    sums: Counter[str] = Counter()
    queue_ms, read, degraded = 0.0, 0, 0
    for answer in answers:
        head, _, body = answer.data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            continue
        decoded = decode(body)
        read += 1
        degraded += decoded.degraded is not None
        queue_ms += decoded.timings_ms.pop("queue", 0.0)
        key = tuple(decoded.timings_ms.items())
        group, first_s = open_groups.get(key, (-1, 0.0))
        if answer.started_s < first_s:
            sizes[group] += 1
            continue
        open_groups[key] = (len(sizes), answer.answered_s)
        sizes.append(1)
        sums.update(decoded.timings_ms)
    return Batches(
        requests_by_batch=dict(sorted(Counter(sizes).items())),
        stage_ms={stage: total / len(sizes) for stage, total in sums.items()},
        queue_ms=queue_ms / max(1, read),
        degraded=degraded,
    )
