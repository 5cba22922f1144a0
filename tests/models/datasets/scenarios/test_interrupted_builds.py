"""Whatever happened before, a build has the bytes of a build over the same files in an empty folder."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.datasets.build import EventData
from models.datasets.files.segment_store import FilesRead
from models.datasets.updating import ensure_event_data
from tests.models.datasets.builds import Stopped, content, fresh, small_segments, stopping_after, written
from tests.models.datasets.files.tables import config_of, shop_events


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_segments(monkeypatch)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"])
@pytest.mark.parametrize("segments", [1, 3])
def test_a_stopped_build_continues_within_a_file_and_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, segments: int
) -> None:
    events = shop_events()
    times = [
        "yesterday" if number in {7, 260, 470} else str(at_s) if number % 2 else f"{at_s}.5"
        for number, at_s in enumerate(events["timestamp"])
    ]
    path = written(tmp_path, name.removesuffix(".gz"), 0, 500, timestamp=times)
    if path.suffix == ".csv":  # rows without enough columns, before and after the place of the stop
        lines = path.read_text().splitlines()
        lines[5], lines[300] = "short", "short"
        path.write_text("\n".join(lines) + "\n")
    if name.endswith(".gz"):
        import gzip

        packed = gzip.compress(path.read_bytes())
        path = tmp_path / name
        path.write_bytes(packed)
    data = EventData(tmp_path / "data")
    with stopping_after(monkeypatch, segments), pytest.raises(Stopped):
        ensure_event_data(config_of(path), data, skip_bad=True)
    assert not data.root.exists()
    kept = content(data.segments)
    assert len(kept) == segments
    update = ensure_event_data(config_of(path), data, skip_bad=True)
    assert update.files == FilesRead(read=1, resumed=1)
    assert kept.items() <= content(data.segments).items()
    assert content(data.root) == fresh(config_of(path), tmp_path, skip_bad=True)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "change", "stop", "forget", "build"]),
        st.integers(0, 5),
        st.integers(0, 400),
    ),
    max_size=6,
)


@settings(max_examples=10)
@given(STEPS)
def test_any_order_of_changes_and_stops_gives_the_bytes_of_a_full_build(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    root = tmp_path_factory.mktemp("steps")
    folder, data = root / "events", EventData(root / "data")
    config = config_of(folder, max_lists=60)
    written(folder, "base.csv", 0, 500)
    for step, number, begin in steps:
        path = folder / f"day-{number}.csv"
        if step in {"add", "change"}:
            written(folder, path.name, begin, begin + 40 * (number + 1))
        elif step == "remove":
            path.unlink(missing_ok=True)
        elif step == "forget":
            shutil.rmtree(data.segments, ignore_errors=True)
        elif step == "stop":
            with pytest.MonkeyPatch.context() as patch, stopping_after(patch, number), suppress(Stopped):
                ensure_event_data(config, data)
        else:
            ensure_event_data(config, data)
    ensure_event_data(config, data)
    assert content(data.root) == fresh(config, root)
