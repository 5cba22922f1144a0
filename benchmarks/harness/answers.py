"""Stage times that the service reports in its answers, and the batches that can be derived from them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from benchmarks.harness.results import Answered


class _Body(msgspec.Struct):
    timings_ms: dict[str, float]
    degraded: Any = None


@dataclass(frozen=True, slots=True)
class Batches:
    """A window's batches.

    Attributes:
        requests_by_batch: batch counts by requests per batch.
        stage_ms: a batch's mean wall time in each stage.
        queue_ms: mean time that a request waits for its batch.
        degraded: how many answers were degraded.
    """

    requests_by_batch: dict[int, int]
    stage_ms: dict[str, float]
    queue_ms: float
    degraded: int

    @property
    def mean_requests(self) -> float:
        """Mean requests per batch."""
        batches = sum(self.requests_by_batch.values())
        return sum(size * count for size, count in self.requests_by_batch.items()) / max(1, batches)


def read_batches(answers: Sequence[Answered], document_of: Callable[[bytes], bytes] | None = None) -> Batches:
    """Read a window's answers, in the order in which they came.

    Answers belong to the same batch if their stage times are equal, to the microsecond, and if all their requests were
    sent before the first of these answers came. ``document_of`` takes the JSON document out of a body that has more.
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
        decoded = decode(body if document_of is None else document_of(body))
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
