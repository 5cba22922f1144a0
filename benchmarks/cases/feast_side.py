"""The Feast process for ``benchmarks/features.py``. Its environment has Feast and none of our packages.

The process reads JSON lines from standard input, first the rows and then one line per repeat. It answers each line with
one JSON line.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Put the rows into Feast's online store, then read them for each request."""
    task = json.loads(sys.stdin.readline())
    store = open_store(Path(task["folder"]), task["redis"], task["features"])
    for kind in ("user", "item"):
        store.write_to_online_store(f"{kind}s", _frame(kind, task[f"{kind}s"], task["features"]))
    answer({"feast": __import__("feast").__version__})
    names = {kind: [f"{kind}s:{kind}_{i}" for i in range(task["features"])] for kind in ("user", "item")}
    for line in sys.stdin:
        repeat = json.loads(line)
        whole_s, user_s = [], []
        for request in repeat["requests"]:
            users = [{"user_id": request["user"]}]
            items = [{"item_id": item} for item in request["items"]]
            started_s = time.perf_counter()
            store.get_online_features(features=names["user"], entity_rows=users)
            read_s = time.perf_counter()
            store.get_online_features(features=names["item"], entity_rows=items)
            whole_s.append(time.perf_counter() - started_s)
            user_s.append(read_s - started_s)
        answer({"whole_s": whole_s, "user_s": user_s})


def open_store(folder: Path, redis: str, features: int) -> Any:
    """Make a Feast repository with two feature views whose online store is the Redis at ``redis``."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float32

    (folder / "feature_store.yaml").write_text(
        json.dumps(
            {
                "project": "rankway",
                "registry": str(folder / "registry.db"),
                "provider": "local",
                "online_store": {"type": "redis", "connection_string": redis},
                "offline_store": {"type": "file"},
                "entity_key_serialization_version": 3,
            }
        )
    )
    store = FeatureStore(repo_path=str(folder))
    parts: list[Any] = []
    for kind in ("user", "item"):
        path = folder / f"{kind}s.parquet"
        _frame(kind, ["none"], features).to_parquet(path)
        entity = Entity(name=kind, join_keys=[f"{kind}_id"], value_type=ValueType.STRING)
        fields = [Field(name=f"{kind}_{i}", dtype=Float32) for i in range(features)]
        source = FileSource(name=f"{kind}s_file", path=str(path), timestamp_field="at")
        parts += [entity, FeatureView(name=f"{kind}s", entities=[entity], schema=fields, source=source)]
    store.apply(parts)
    return store


def _frame(kind: str, ids: list[str], features: int) -> Any:
    import numpy as np
    import pandas as pd

    values = np.random.default_rng(0).random((len(ids), features), dtype=np.float32)
    frame = pd.DataFrame(values, columns=[f"{kind}_{i}" for i in range(features)])
    frame.insert(0, f"{kind}_id", ids)
    frame["at"] = pd.Timestamp.now(tz="UTC")
    return frame


def answer(document: dict[str, Any]) -> None:
    """Write a document as one line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
