"""The flusher's thread flushes remaining notes when it closes, and survives a failing source."""

import threading

from services.telemetry.flusher import Flusher
from services.telemetry.metrics import UnitMetrics
from tests.services.ray_metrics import Exported

LIMIT_S = 30.0


class Failing:
    """A source whose flush always fails."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)

    def flush(self) -> None:
        self.asked.release()
        raise RuntimeError("Ray is gone")


def test_close_flushes_remaining_notes_although_another_source_fails(exported: Exported) -> None:
    unit = UnitMetrics("main", "r1")
    flusher = Flusher([Failing(), unit])
    unit.batch_done(1, 7, {})
    flusher.close()
    assert exported.value("rankway_candidates_served_total") == 7


def test_failed_source_is_flushed_again() -> None:
    failing = Failing()
    flusher = Flusher([failing])
    assert failing.asked.acquire(timeout=LIMIT_S)
    flusher.close()
    assert failing.asked.acquire(timeout=LIMIT_S)
