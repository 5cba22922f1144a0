"""Small event files in every format."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.datasets.config import EventColumns, EventFiles, EventsConfig
from tests.models.datasets.logs import make_log

Columns = Mapping[str, Sequence[Any]]


def shop_events(*, seed: int = 0) -> dict[str, list[Any]]:
    """Return the events of a small log as columns."""
    log = make_log(repeats=True, seed=seed)
    rows = zip(log.user.tolist(), log.item.tolist(), log.at_s.tolist(), log.value.tolist(), strict=True)
    once = {(user, item, at_s): value for user, item, at_s, value in rows}  # no event is in the files twice
    return {
        "user_id": [f"u{user:02}" for user, _, _ in once],
        "item_id": [log.item_ids[item] for _, item, _ in once],
        "timestamp": [int(at_s) for _, _, at_s in once],
        "rating": list(once.values()),
    }


def write(path: Path, columns: Columns) -> Path:
    """Write columns as CSV, Parquet or JSON lines, by the suffix."""
    names = list(columns)
    if path.suffix == ".parquet":
        pq.write_table(pa.table(dict(columns)), path)
        return path
    rows = zip(*columns.values(), strict=True)
    if path.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
    else:
        lines = [",".join(names), *(",".join("" if v is None else str(v) for v in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def config_of(path: Path, **changed: Any) -> EventsConfig:
    """Return a configuration for the columns of ``shop_events``."""
    columns = EventColumns(user="user_id", item="item_id", time="timestamp", value="rating")
    given: dict[str, Any] = {"files": EventFiles(events=str(path)), "columns": columns, "history": 8}
    return EventsConfig(**{**given, **changed})
