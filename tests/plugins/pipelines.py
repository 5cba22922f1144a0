"""The small pipeline with every plug-in of the guide's package."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from models.features.rows import UserRowCodec, row_key
from tests.pipelines import FEATURES, USERS, bias_of, make_pipeline, merged
from tests.plugins.packages import guide_files


def make_guide_pipeline(home: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write the guide's pipeline and its data under ``home``, and return the YAML's path."""
    codec = UserRowCodec(FEATURES)
    rows = [
        (
            row_key("user", f"u{user}".encode()),
            codec.encode({"bias": np.array(bias_of(user), dtype=np.float32)}),
        )
        for user in range(USERS)
    ]
    database = sqlite3.connect(home / "users.sqlite")
    database.execute("CREATE TABLE rows (key BLOB PRIMARY KEY, value BLOB)")
    database.executemany("INSERT INTO rows VALUES (?, ?)", rows)
    database.commit()
    database.close()
    return make_pipeline(home, merged(yaml.safe_load(guide_files()["pipeline.yaml"]), changes or {}))
