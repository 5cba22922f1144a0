"""Histograms of exact buckets in Ray's Prometheus export.

Ray's own histogram is replayed by its agent one observation at a time, at the middle of each bucket: at 2,800
requests a second that took the agent 7% of a core, and the sum was a guess. Here the replica counts, and
hands over what Prometheus keeps of a histogram: cumulative ``_bucket{le}``, ``_sum`` and ``_count``. They are
set as gauges, as Ray's counters would end in ``_total``; ``rate`` and ``histogram_quantile`` read them alike.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ray.util import metrics

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Counts:
    """One label set's observations: by bucket, the last for what lies above every boundary, and their sum."""

    buckets: list[int]
    total: float = 0.0


class Histogram:
    """Counts observations by label set and sets the series."""

    def __init__(
        self,
        name: str,
        description: str,
        boundaries: Sequence[float],
        *,
        labels: Mapping[str, str],
        more: tuple[str, ...] = (),
    ) -> None:
        """Declare the series.

        boundaries: inclusive upper edges of the buckets, ascending. labels: of every observation;
        more: names of those each observation brings.
        """
        self._boundaries = list(boundaries)
        self._edges = [*(str(float(edge)) for edge in boundaries), "+Inf"]
        self._labels = dict(labels)
        self._counts: dict[Labels, _Counts] = {}
        names = (*labels, *more)
        self._bucket = metrics.Gauge(f"{name}_bucket", description, (*names, "le"))
        self._sum = metrics.Gauge(f"{name}_sum", description, names)
        self._count = metrics.Gauge(f"{name}_count", description, names)

    def observe(self, values: Iterable[float], labels: Mapping[str, str] | None = None) -> None:
        """Count the values of one label set."""
        key = tuple((labels or {}).items())
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = _Counts([0] * len(self._edges))
        for value in values:
            counts.buckets[bisect_left(self._boundaries, value)] += 1
            counts.total += value

    def export(self) -> None:
        """Set every series; again and again, as Ray forgets a gauge once it was scraped."""
        for key, counts in self._counts.items():
            labels = {**self._labels, **dict(key)}
            cumulative = list(accumulate(counts.buckets))
            for edge, count in zip(self._edges, cumulative, strict=True):
                self._bucket.set(count, {**labels, "le": edge})
            self._sum.set(counts.total, labels)
            self._count.set(cumulative[-1], labels)
