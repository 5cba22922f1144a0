"""Metrics about unreadable rows, the store's servers, and releases that cannot be loaded."""

from services.telemetry.features import ReleaseMetrics, RowMetrics, StoreMetrics
from tests.services.ray_metrics import Exported


def test_exports_the_current_number_of_skipped_servers(exported: Exported) -> None:
    counts = iter([0, 2, 0])
    metrics = StoreMetrics("main", "r1", lambda: next(counts))
    for expected in (0, 2, 0):
        metrics.flush()
        assert exported.value("rankway_store_left_alone", unit="main") == expected


def test_failed_release_is_exported_until_another_is_active(exported: Exported) -> None:
    failed = iter([False, True, False])
    metrics = ReleaseMetrics("small", "main", "r1", has_failed=lambda: next(failed), deltas=lambda: 3)
    for expected in (0, 1, 0):
        metrics.flush()
        assert exported.value("rankway_release_failed", pipeline="small", unit="main") == expected
    assert exported.value("rankway_catalogue_deltas", pipeline="small", unit="main") == 3


def test_sums_unreadable_rows_by_group(exported: Exported) -> None:
    metrics = RowMetrics("main", "r1")
    for group, count in (("user", 2), ("realtime", 1), ("user", 3)):
        metrics.unreadable(group, count)
    metrics.flush()
    metrics.flush()
    assert exported.values("rankway_unreadable_rows_total", "group") == {"user": 5, "realtime": 1}


def test_refreshes_are_counted_by_folder_and_outcome(exported: Exported) -> None:
    metrics = RowMetrics("main", "r1")
    for outcome in ("taken", "refused", "taken"):
        metrics.refreshed("overlay", outcome)
    metrics.flush()
    assert exported.values("rankway_refreshes_total", "outcome") == {"taken": 2, "refused": 1}
