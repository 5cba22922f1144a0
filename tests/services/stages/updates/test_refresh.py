"""Watched folders: a newer one is opened, a bad one is refused, and two versions are never mixed."""

import threading
from pathlib import Path

import numpy as np
import pytest

from models.errors import ArtifactError
from models.features.catalogue import Catalogue, item_key
from models.features.live import LiveItems
from models.features.view import FeatureView
from services.stages.updates.refresh import Refresher, watched_folders
from services.telemetry.features import RowMetrics
from tests.overlaid import CELLS, FEATURES, make_overlaid_pipeline, write_overlay
from tests.services.stores.servers import until

LIMIT_S = 30.0


class RecordedMetrics(RowMetrics):
    """Records the reported outcomes."""

    def __init__(self) -> None:
        super().__init__("main", "test")
        self.outcomes: list[tuple[str, str]] = []

    def refreshed(self, folder: str, outcome: str) -> None:
        self.outcomes.append((folder, outcome))


@pytest.fixture(name="view")
def _view(tmp_path: Path) -> FeatureView:
    make_overlaid_pipeline(tmp_path)
    return FeatureView(FEATURES, Catalogue.open(tmp_path / "catalogue"))


def rain(view: FeatureView) -> float:
    return float(view.overlay.globals["rain"][0]) if view.overlay.globals else -1.0


def bonus(view: FeatureView, item: str) -> float:
    rows = np.array([view.catalogue.row_by_id[item]])
    return float(view.live.columns(FEATURES.supplied("live"), rows)["live.bonus"][0])


def test_opens_newer_folders_and_keeps_the_previous_one_if_bad(tmp_path: Path, view: FeatureView) -> None:
    reports = RecordedMetrics()
    folders = watched_folders(view, tmp_path / "overlay", tmp_path / "live")
    folders[0].open()
    assert rain(view) == 1.0
    refresher = Refresher(folders, 0.01, reports)
    try:
        write_overlay(tmp_path / "overlay", rain=2.0, crowd=0.0)
        until(lambda: rain(view) == 2.0, LIMIT_S)
        live = LiveItems.none(FEATURES)  # the folder is created after the service
        live.setting(FEATURES, "bonus", np.array([item_key("item-3")]), 7.0).write(
            tmp_path / "live", FEATURES
        )
        until(lambda: bonus(view, "item-3") == 7.0, LIMIT_S)
        assert bonus(view, "item-4") == 0.0
        (tmp_path / "overlay" / "overlay.json").write_text("{}")
        until(lambda: ("overlay", "refused") in reports.outcomes, LIMIT_S)
        assert rain(view) == 2.0
        write_overlay(tmp_path / "overlay", rain=3.0, crowd=0.0)
        until(lambda: rain(view) == 3.0, LIMIT_S)
    finally:
        refresher.close()
    assert reports.outcomes.count(("overlay", "refused")) == 1  # reported once, not at every check
    write_overlay(tmp_path / "overlay", rain=4.0, crowd=0.0)
    assert rain(view) == 3.0


def test_never_mixes_files_of_a_folder_that_is_replaced_while_read(tmp_path: Path, view: FeatureView) -> None:
    write_overlay(tmp_path / "overlay", rain=0.0, crowd=0.0)
    folder = watched_folders(view, tmp_path / "overlay", None)[0]
    written, done = 0, threading.Event()

    def write() -> None:
        nonlocal written
        for number in range(1, 300):
            write_overlay(tmp_path / "overlay", rain=float(number), crowd=float(number))
            written = number
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        try:
            folder.open()
        except ArtifactError:
            continue  # the folder was being replaced
        overlay = view.overlay
        crowd = overlay.cells["crowd"][0] - np.arange(CELLS)
        assert (crowd == overlay.globals["rain"][0]).all()
        seen.append(rain(view))
    writer.join()
    folder.open()
    assert rain(view) == written == 299.0
    assert seen == sorted(seen)


def test_refresher_without_folders_can_be_stopped() -> None:
    Refresher([], 0.01, None).close()
