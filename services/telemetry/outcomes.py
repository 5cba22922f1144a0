"""Counts by outcome: rows of the served log, and look-ups in the caches."""

from services.telemetry.counter import LabelledCount


class LogMetrics:
    """What became of the served log's rows."""

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
        """Note rows that are in a file."""
        self._written.add(kind, count)

    def dropped(self, reason: str, count: int) -> None:
        """Note rows that are lost: too many waited, the target could not be written, or they were unfit."""
        self._dropped.add(reason, count)

    def flush(self) -> None:
        """Hand the notes to Ray."""
        self._written.flush()
        self._dropped.flush()


def cache_lookups(pipeline: str, replica: str) -> LabelledCount:
    """Declare what became of look-ups in the response cache, and of its entries."""
    tags = {"pipeline": pipeline, "replica": replica}
    return LabelledCount(
        "rankway_response_cache_total", "Look-ups in the response cache, and evictions.", tags, "result"
    )


def history_lookups(pipeline: str, replica: str) -> LabelledCount:
    """Declare what became of look-ups in the history cache, and of its entries."""
    tags = {"pipeline": pipeline, "replica": replica}
    return LabelledCount(
        "rankway_history_cache_total", "Look-ups in the history cache, and evictions.", tags, "result"
    )
