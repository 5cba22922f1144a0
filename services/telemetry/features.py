"""Metrics of features, their store and the release: rows, refreshes, servers and loads that fail."""

from collections import deque
from collections.abc import Callable

from ray.util import metrics

from services.telemetry.counter import LabelledCount, drain


class RowMetrics:
    """What the features stage reports of the store's rows, and of the folders that are kept fresh."""

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
            "rankway_refreshes_total", "Newer folders found by a refresh.", (*keys, "folder", "outcome")
        )
        self._refreshes.set_default_tags(tags)
        self._refreshed: deque[tuple[str, str]] = deque()

    def unreadable(self, group: str, count: int) -> None:
        """Note rows that could not be read."""
        self._rows.add(group, count)

    def refreshed(self, folder: str, outcome: str) -> None:
        """Note that a newer folder was "taken" or "refused"."""
        self._refreshed.append((folder, outcome))

    def flush(self) -> None:
        """Hand the notes to Ray."""
        self._rows.flush()
        for folder, outcome in drain(self._refreshed):
            self._refreshes.inc(1, {"folder": folder, "outcome": outcome})


class StoreMetrics:
    """Whether the feature store's servers are asked."""

    def __init__(self, unit: str, replica: str, left_alone: Callable[[], int]) -> None:
        """Declare the series; ``left_alone`` gives how many servers are not asked, as they failed lately."""
        self._series = metrics.Gauge(
            "rankway_store_left_alone",
            "Feature store servers that are skipped because their circuit breaker is not closed.",
            ("unit", "replica"),
        )
        self._series.set_default_tags({"unit": unit, "replica": replica})
        self._left_alone = left_alone

    def flush(self) -> None:
        """Hand the present number to Ray."""
        self._series.set(self._left_alone())


class ReleaseMetrics:
    """Whether the replica goes on with a release because the one asked for last cannot be loaded."""

    def __init__(self, pipeline: str, unit: str, replica: str, has_failed: Callable[[], bool]) -> None:
        """Declare the series; ``has_failed`` is asked at each flush."""
        self._series = metrics.Gauge(
            "rankway_release_failed",
            "1 if the release requested last could not be loaded.",
            ("pipeline", "unit", "replica"),
        )
        self._series.set_default_tags({"pipeline": pipeline, "unit": unit, "replica": replica})
        self._has_failed = has_failed

    def flush(self) -> None:
        """Hand the present state to Ray."""
        self._series.set(float(self._has_failed()))
