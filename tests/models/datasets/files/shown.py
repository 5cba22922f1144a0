"""Small impression files."""

from pathlib import Path
from typing import Any

import numpy as np

from models.datasets.config import EventFiles, EventsConfig
from models.datasets.events import EventLog
from models.datasets.files.problems import BadRows
from models.datasets.files.reading import read_files
from models.datasets.shown_config import ImpressionsConfig
from tests.models.datasets.files.tables import Columns, write

LISTS, SHOWN, USERS, ITEMS = 120, 6, 20, 40


def shown_rows(*, seed: int = 0) -> dict[str, list[Any]]:
    """Return rows of shown items. Users click the items whose number is a multiple of 3, in two of three lists."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(LISTS):
        user, at_s = int(random.integers(USERS)), 1_600_000_000 + number * 1000
        for position, item in enumerate(random.choice(ITEMS, SHOWN, replace=False).tolist()):
            clicked = int(item % 3 == 0 and number % 3 > 0)
            rows.append((f"r{number:03}", f"u{user:02}", f"i{item:02}", at_s, position, clicked))
    names = ("request_id", "user_id", "item_id", "timestamp", "position", "label")
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}


def write_shown(path: Path, columns: Columns) -> Path:
    """Write the rows by the suffix of the path."""
    return write(path, columns)


def config_of_shown(path: Path, **changed: Any) -> EventsConfig:
    """Return a configuration for the columns of ``shown_rows``. ``changed`` are roles of the impressions."""
    columns = {"list": "request_id", "user": "user_id", "item": "item_id", "time": "timestamp",
               "position": "position", "label": "label"}  # fmt: skip
    impressions = ImpressionsConfig.model_validate({**columns, **changed})
    return EventsConfig(files=EventFiles(impressions=str(path)), impressions=impressions, history=8)


def log_of(path: Path, bad: BadRows | None = None, **changed: Any) -> tuple[EventLog, EventsConfig]:
    """Return the log of a file, and its configuration."""
    config = config_of_shown(path, **changed)
    return read_files(config, bad or BadRows()), config
