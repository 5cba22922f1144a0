"""Counts by outcome: served log rows, and look-ups in the caches."""

from services.telemetry.counter import LabelledCount


class LogMetrics:
    """Counts the served log's rows, by outcome."""

    def __init__(self, pipeline: str, replica: str) -> None:
        """Declare the pipeline's series."""
        tags = {"pipeline": pipeline, "replica": replica}
        self._written = LabelledCount(
            "rankway_log_rows_total", "Served log rows written to files.", tags, "kind"
        )
        self._dropped = LabelledCount(
            "rankway_log_dropped_rows_total", "Served log rows dropped.", tags, "reason"
        )

    def written(self, kind: str, count: int) -> None:
        """Record rows that are in a file."""
        self._written.add(kind, count)

    def dropped(self, reason: str, count: int) -> None:
        """Record rows that are lost.

        ``reason`` is "waiting" if too many rows waited, "target" if the file could not be written, or "unfit" if the
        rows could not become a table.
        """
        self._dropped.add(reason, count)

    def flush(self) -> None:
        """Pass the notes to Ray."""
        self._written.flush()
        self._dropped.flush()


def cache_lookups(pipeline: str, replica: str) -> LabelledCount:
    """Declare the series for look-ups in the response cache and for its evicted entries."""
    tags = {"pipeline": pipeline, "replica": replica}
    return LabelledCount(
        "rankway_response_cache_total", "Look-ups in the response cache, and evictions.", tags, "result"
    )


def history_lookups(pipeline: str, replica: str) -> LabelledCount:
    """Declare the series for look-ups in the history cache and for its evicted entries."""
    tags = {"pipeline": pipeline, "replica": replica}
    return LabelledCount(
        "rankway_history_cache_total", "Look-ups in the history cache, and evictions.", tags, "result"
    )
