"""Metrics for the feature store and the release: unreadable rows, refreshes, skipped servers and failed loads."""

from collections import deque
from collections.abc import Callable

from ray.util import metrics

from services.telemetry.counter import LabelledCount, drain


class RowMetrics:
    """Metrics for the features stage: unreadable rows in the store, and refreshed folders."""

    def __init__(self, unit: str, replica: str) -> None:
        """Declare the series."""
        keys, tags = ("unit", "replica"), {"unit": unit, "replica": replica}
        self._rows = LabelledCount(
            "rankway_unreadable_rows_total",
            "Stored rows that cannot be read: damaged, or written with other definitions.",
            tags,
            "group",
        )
        self._refreshes = metrics.Counter(
            "rankway_refreshes_total",
            "Refreshes that found a newer folder, by folder and outcome.",
            (*keys, "folder", "outcome"),
        )
        self._refreshes.set_default_tags(tags)
        self._refreshed: deque[tuple[str, str]] = deque()

    def unreadable(self, group: str, count: int) -> None:
        """Record rows that could not be read."""
        self._rows.add(group, count)

    def refreshed(self, folder: str, outcome: str) -> None:
        """Record the outcome for a newer folder.

        Args:
            folder: the folder that was refreshed.
            outcome: "taken" or "refused".
        """
        self._refreshed.append((folder, outcome))

    def flush(self) -> None:
        """Pass the notes to Ray."""
        self._rows.flush()
        for folder, outcome in drain(self._refreshed):
            self._refreshes.inc(1, {"folder": folder, "outcome": outcome})


class StoreMetrics:
    """The count of feature store servers that are skipped."""

    def __init__(self, unit: str, replica: str, left_alone: Callable[[], int]) -> None:
        """Declare the series.

        ``left_alone`` returns the count of servers that are skipped because they failed recently.
        """
        self._series = metrics.Gauge(
            "rankway_store_left_alone",
            "Feature store servers that are skipped because their circuit breaker is not closed.",
            ("unit", "replica"),
        )
        self._series.set_default_tags({"unit": unit, "replica": replica})
        self._left_alone = left_alone

    def flush(self) -> None:
        """Pass the current count to Ray."""
        self._series.set(self._left_alone())


class ReleaseMetrics:
    """Whether the replica still serves an old release, because it could not load the release requested last.

    Also the deltas of the catalogue that it serves.
    """

    def __init__(
        self,
        pipeline: str,
        unit: str,
        replica: str,
        *,
        has_failed: Callable[[], bool],
        deltas: Callable[[], int],
    ) -> None:
        """Declare the series. The functions are called at each flush."""
        tags = {"pipeline": pipeline, "unit": unit, "replica": replica}
        self._deltas = metrics.Gauge(
            "rankway_catalogue_deltas", "The deltas in the catalogue that the replica serves.", tuple(tags)
        )
        self._deltas.set_default_tags(tags)
        self._count_deltas = deltas
        self._series = metrics.Gauge(
            "rankway_release_failed",
            "1 if the last requested release could not be loaded, otherwise 0.",
            ("pipeline", "unit", "replica"),
        )
        self._series.set_default_tags(tags)
        self._has_failed = has_failed

    def flush(self) -> None:
        """Pass the current state to Ray."""
        self._series.set(float(self._has_failed()))
        self._deltas.set(float(self._count_deltas()))
