"""Builds over small files of events, and interruptions of them."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models import durable
from models.datasets.build import EventData
from models.datasets.config import EventsConfig
from models.datasets.files import csv_rows, event_rows, json_rows, parquet_rows
from models.datasets.files.segment_store import SegmentStore
from models.datasets.files.segments import Segment
from models.datasets.updating import ensure_event_data
from tests.models.datasets.files.tables import shop_events, write


class Stopped(Exception):
    """A build was interrupted."""


def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of some 600 events has several segments, in every format."""
    monkeypatch.setattr(event_rows, "SEGMENT_ROWS", 100)
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 1500)
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 3000)
    monkeypatch.setattr(parquet_rows, "ROWS", 70)
    monkeypatch.setattr(durable, "_sync", lambda path: None)  # no power cut, but many builds


def written(folder: Path, name: str, begin: int, end: int, **changed: Any) -> Path:
    """Write some events of a small log. Parquet files have several row groups."""
    events = {column: values[begin:end] for column, values in {**shop_events(), **changed}.items()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.suffix == ".parquet":
        pq.write_table(pa.table(events), path, row_group_size=90)
        return path
    return write(path, events)


def content(root: Path) -> dict[str, str]:
    """Return a hash of each file of a folder."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def fresh(config: EventsConfig, folder: Path, *, skip_bad: bool = False) -> dict[str, str]:
    """Return the content of a build in an empty folder."""
    data = EventData(folder / "fresh" / "data")
    ensure_event_data(config, data, skip_bad=skip_bad)
    found = content(data.root)
    shutil.rmtree(data.root.parent)
    return found


@contextmanager
def stopping_after(monkeypatch: pytest.MonkeyPatch, segments: int) -> Iterator[None]:
    """Stop builds after they have kept this number of segments."""
    saved = 0
    save = SegmentStore.save

    def stopping(store: SegmentStore, stamp: str, number: int, segment: Segment) -> None:
        nonlocal saved
        if saved == segments:
            raise Stopped
        save(store, stamp, number, segment)
        saved += 1

    with monkeypatch.context() as patch:
        patch.setattr(SegmentStore, "save", stopping)
        yield
