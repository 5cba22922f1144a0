"""Stage times that the service reports in its answers, and the batches that follow from them."""

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
    """The batches of a window.

    Attributes:
        requests_by_batch: number of batches by their number of requests.
        stage_ms: mean wall time of a batch in each stage.
        queue_ms: mean time for which a request waits for its batch.
        degraded: number of degraded answers.
    """

    requests_by_batch: dict[int, int]
    stage_ms: dict[str, float]
    queue_ms: float
    degraded: int

    @property
    def mean_requests(self) -> float:
        """Mean number of requests per batch."""
        batches = sum(self.requests_by_batch.values())
        return sum(size * count for size, count in self.requests_by_batch.items()) / max(1, batches)


def read_batches(answers: Sequence[Answered]) -> Batches:
    """Read the answers of a window, in the order in which they came.

    The requests of a batch share its stage times, to the microsecond, and all were sent before the first of them was
    answered. Two answers that fulfil both conditions are counted as one batch.
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
