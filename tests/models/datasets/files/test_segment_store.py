from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.datasets.build import EventData
from models.datasets.files.problems import BadRows
from models.datasets.files.segment_store import FilesRead
from models.datasets.updating import ensure_event_data
from models.errors import ArtifactError
from tests.models.datasets.builds import Stopped, content, fresh, small_segments, stopping_after, written
from tests.models.datasets.files.tables import config_of, shop_events


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_segments(monkeypatch)


def test_counts_of_skipped_rows_are_those_of_all_files(tmp_path: Path) -> None:
    folder, data = tmp_path / "events", EventData(tmp_path / "data")
    bad = {"rating": [*shop_events()["rating"][:20], "good", *shop_events()["rating"][21:]]}
    written(folder, "a.csv", 0, 200, **bad)
    ensure_event_data(config_of(folder), data, skip_bad=True)
    written(folder, "b.csv", 200, 400)
    update = ensure_event_data(config_of(folder), data, skip_bad=True)
    assert update.files == FilesRead(reused=1, read=1)
    assert '"rating must be a finite number": 1' in data.manifest.read_text()
    assert "a.csv line 22" in data.skipped.read_text()
    assert content(data.root) == fresh(config_of(folder), tmp_path, skip_bad=True)


def test_a_kept_segment_with_bad_rows_is_no_excuse_for_them(tmp_path: Path) -> None:
    folder, data = tmp_path / "events", EventData(tmp_path / "data")
    bad = {"rating": [*shop_events()["rating"][:180], "good", *shop_events()["rating"][181:]]}
    written(folder, "a.csv", 0, 300, **bad)
    ensure_event_data(config_of(folder), data, skip_bad=True)
    written(folder, "b.csv", 300, 400)
    with pytest.raises(
        ArtifactError, match=r"a\.csv line 182: column rating must be a finite number, got 'good'"
    ):
        ensure_event_data(config_of(folder), data)


def test_a_time_that_was_in_the_future_is_an_event_when_it_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = written(tmp_path, "a.csv", 0, 300), EventData(tmp_path / "data")
    latest = max(shop_events()["timestamp"][:300])
    for now_s, reused in ((latest - 90_000.0, 0), (latest - 89_999.0, 1), (latest - 80_000.0, 0)):
        monkeypatch.setattr("time.time", lambda now_s=now_s: now_s)
        data.manifest.unlink(missing_ok=True)
        assert ensure_event_data(config_of(path), data, skip_bad=True).files == FilesRead(reused, 1 - reused)
        assert content(data.root) == fresh(config_of(path), tmp_path, skip_bad=True)


def test_segments_of_two_readings_that_do_not_fit_together_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, data = shop_events(), EventData(tmp_path / "data")
    order = np.argsort(events["timestamp"])[::-1]  # the times in the future are in the first segment
    newest_first = {name: [values[row] for row in order] for name, values in events.items()}
    path = written(tmp_path, "a.parquet", 0, 500, **newest_first)
    later_s = newest_first["timestamp"][80]
    for now_s, segments in ((later_s - 86_400.0, 9), (later_s + 900_000.0, 1)):
        monkeypatch.setattr("time.time", lambda now_s=now_s: now_s)
        with stopping_after(monkeypatch, segments), suppress(Stopped):
            ensure_event_data(config_of(path), data, skip_bad=True)
        data.manifest.unlink(missing_ok=True)
    ensure_event_data(config_of(path), data, skip_bad=True)
    assert content(data.root) == fresh(config_of(path), tmp_path, skip_bad=True)


@pytest.mark.parametrize(
    "damage", [lambda content: b"", lambda content: content[:-100], lambda content: b"x" * 500]
)
def test_damaged_segments_are_read_again(tmp_path: Path, damage: Any) -> None:
    path, data = written(tmp_path, "a.csv", 0, 500), EventData(tmp_path / "data")
    ensure_event_data(config_of(path), data)
    whole = content(data.segments)
    for segment in list(data.segments.iterdir())[1:]:
        segment.write_bytes(damage(segment.read_bytes()))
    data.manifest.unlink()
    assert ensure_event_data(config_of(path), data).files.read == 1  # type: ignore[union-attr]
    assert content(data.segments) == whole


def test_a_folder_of_segments_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    path, data = written(tmp_path, "a.csv", 0, 500), EventData(tmp_path / "data")
    data.segments.write_text("a file")
    with pytest.raises(ArtifactError, match=r"data\.segments/.*cannot be written .*; delete .*only a cache"):
        ensure_event_data(config_of(path), data)
    assert not data.root.exists()


def test_bad_rows_of_parts_add_up_to_those_of_the_whole() -> None:
    whole, first = BadRows(skip=True), BadRows(skip=True)
    for number in range(3):
        first.unreadable("a.csv", f"line {number}", "is short")
        whole.add(first.taken())
    assert whole.counts == {"row cannot be parsed": 3}
    assert [text.split(":")[0] for text in whole.listed] == ["a.csv line 0", "a.csv line 1", "a.csv line 2"]
    assert first == BadRows(skip=True)
    assert np.isinf(whole.until_s)
