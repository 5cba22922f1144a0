"""Items that requests sent with features are exported with the values that were scored, bit for bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from services.app import StandaloneApp
from tests.cli.features.test_export import COLUMNS, NUMBERS, pick, rankway
from tests.pipelines import make_pipeline
from tests.services.servers import ask, http_request, http_server, rank_request

CHANGES: dict[str, Any] = {
    "log": {"path": "log"},
    "training": {"data": "impressions", "ranker": {"items": ["value"]}},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    return tmp_path


def mixed_candidates(random: np.random.Generator) -> list[Any]:
    """Return ids, items of the catalogue with features, and new items with some features, in any order."""
    candidates: list[Any] = []
    for number in random.permutation(400)[: random.integers(4, 30)].tolist():
        value, start = float(random.normal() * 1e3), random.random(2).tolist()
        features = [{}, {"value": value}, {"start": start}, {"value": value, "start": start}][
            random.integers(4)
        ]
        name = f"item-{number:04d}"
        kind = random.integers(3)
        sent = {"id": name if kind else f"new-{number} é", "features": features}
        candidates.append(name if kind == 2 else sent)
    return candidates


def scored(port: int, requests: int) -> list[tuple[bytes, str]]:
    """Ask for lists and return the bits of each score with the item's id."""
    random = np.random.default_rng(5)
    found = []
    for user in range(requests):
        document: dict[str, Any] = {"user_id": f"u{user}", "k": 25}
        if user % 4:  # other lists have candidates of the catalogue only
            document["candidates"] = mixed_candidates(random)
        answer = ask(port, rank_request(document)).json
        found += [(np.float32(item["score"]).tobytes(), item["id"]) for item in answer["items"]]
    return found


def exported(home: Path, column: str) -> list[tuple[bytes, str]]:
    tables = [pq.read_table(home / f"data/{split}.parquet") for split in ("train", "valid")]
    return [
        (np.float32(number).tobytes(), item)
        for table in tables
        for number, item in zip(table[column].to_pylist(), table["item"].to_pylist(), strict=True)
    ]


@pytest.mark.parametrize("column", [0, 5])
def test_exported_values_of_sent_items_have_the_bits_that_were_scored(home: Path, column: int) -> None:
    pipeline = make_pipeline(home, CHANGES)
    imported = rankway("models", "import", pick(home / "pick.onnx", column), "--config", pipeline,
                       "--model", "ranker", "--input", f"dense={COLUMNS}")  # fmt: skip
    assert imported.exit_code == 0, imported.output
    with http_server(StandaloneApp(pipeline, home)) as port:
        served = scored(port, 16)
    result = rankway("features", "export", pipeline, home / "data", "--model", "ranker",
                     "--from-log", home / "log")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert any(item.startswith("new-") for _, item in served)
    assert sorted(exported(home, NUMBERS[column])) == sorted(served)


def test_feedback_labels_new_items_in_the_export(home: Path) -> None:
    pipeline = make_pipeline(home, CHANGES)
    with http_server(StandaloneApp(pipeline, home)) as port:
        for user in range(4):
            named = ["item-0003", {"id": "new-1", "features": {"value": 7.0}}]
            answer = ask(port, rank_request({"user_id": f"u{user}", "candidates": named})).json
            event = {"request_id": answer["request_id"], "item_id": "new-1", "event": "walked"}
            assert ask(port, http_request("POST", "/v1/feedback", json.dumps(event).encode())).status == 202
    result = rankway("features", "export", pipeline, home / "data", "--from-log", home / "log")
    assert result.exit_code == 0, result.output
    table = pq.read_table(home / "data/train.parquet").to_pydict()
    rows = set(zip(table["item"], table["label"], table["item.value"], strict=True))
    assert rows == {("new-1", 0.5, 7.0), ("item-0003", 0.0, 3.0)}
