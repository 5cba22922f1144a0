"""Serve, log, send feedback, and train from the log, all with the real components."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli.train import train
from models.artifact import Artifact
from models.features.rows import UserRowCodec, row_key
from models.served_log.reading import read_log
from services.app import StandaloneApp
from services.stores.lmdb import LmdbStore
from tests.cli.test_train import PIPELINE
from tests.models.worlds import FEATURES as WORLD
from tests.models.worlds import FEEDBACK, PROFILE, make_catalogue, make_impressions
from tests.pipelines import FEATURES, bias_of, make_pipeline
from tests.services.bad_input import check_problem
from tests.services.servers import Reply, ask, http_request, http_server, rank_request


@contextmanager
def served(path: Path, home: Path) -> Iterator[int]:
    with http_server(StandaloneApp(path, home)) as port:
        yield port


def send(port: int, document: dict[str, Any]) -> Reply:
    return ask(port, http_request("POST", "/v1/feedback", json.dumps(document).encode()))


def test_logs_answers_and_feedback_with_features(tmp_path: Path) -> None:
    path = make_pipeline(tmp_path, {"log": {"path": "served"}})
    with served(path, tmp_path) as port:
        answers = [
            ask(port, rank_request({"user_id": f"u{user}", "k": 4, "context": {"shift": user}})).json
            for user in range(9)
        ]
        for answer in answers[:3]:
            item = answer["items"][1]["id"]
            answered = send(port, {"request_id": answer["request_id"], "item_id": item, "event": "walked"})
            assert (answered.status, answered.json) == (202, {})
        long = {"request_id": "r", "item_id": "x" * 257, "event": "opened"}
        check_problem(send(port, long), 422, "item_id")
        check_problem(send(port, {"request_id": "r"}), 422, "item_id")
        check_problem(ask(port, http_request("GET", "/v1/feedback")), 405, "method")
    batch, labels = read_log([tmp_path / "served"], FEATURES, FEEDBACK)
    assert list(batch.request_ids) == [answer["request_id"] for answer in answers]
    assert list(batch.user_ids) == [f"u{user}" for user in range(9)]
    np.testing.assert_array_equal(batch.batch.requests["user.bias"], [bias_of(user) for user in range(9)])
    np.testing.assert_array_equal(batch.batch.requests["context.shift"], np.arange(9))
    np.testing.assert_array_equal(
        batch.scores, [item["score"] for answer in answers for item in answer["items"]]
    )
    np.testing.assert_array_equal(labels.reshape(9, 4)[:, 1], [0.5] * 3 + [0.0] * 6)
    assert labels.sum() == 1.5


def test_refuses_feedback_without_a_log_and_names_the_remedy(tmp_path: Path) -> None:
    with served(make_pipeline(tmp_path), tmp_path) as port:
        answered = send(port, {"request_id": "r", "item_id": "item-0001", "event": "opened"})
        check_problem(answered, 404, "path")
        assert "add log to its YAML" in answered.json["detail"]


def test_unwritable_log_fails_no_request(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder would be")
    changes = {"log": {"path": "taken", "roll_s": 0.001, "max_rows_waiting": 10}}
    with served(make_pipeline(tmp_path, changes), tmp_path) as port:
        for user in range(40):
            reply = ask(port, rank_request({"user_id": f"u{user}", "candidates": ["item-0001"]}))
            assert [item["score"] for item in reply.json["items"]] == [bias_of(user) + 1]
            event = {"request_id": reply.json["request_id"], "item_id": "item-0001", "event": "opened"}
            assert send(port, event).status in {202, 429}


def test_trains_model_from_served_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    catalogue = make_catalogue(tmp_path / "catalogue")
    make_impressions(tmp_path / "impressions" / "train", catalogue, 60, 0)
    make_impressions(tmp_path / "impressions" / "valid", catalogue, 40, 1)
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(WORLD.model_dump(mode="json")))
    store, random = LmdbStore(tmp_path / "users", readonly=False), np.random.default_rng(5)
    codec = UserRowCodec(WORLD)
    profiles = random.normal(size=(60, PROFILE)).astype(np.float32)
    store.write_many(
        (row_key("user", f"u{user}".encode()), codec.encode({"profile": profiles[user]}))
        for user in range(60)
    )
    store.close()
    pipeline = {
        **PIPELINE,
        "features": {**PIPELINE["features"], "store": {"kind": "lmdb", "path": "users"}},
        "candidates": {"kind": "sample", "count": 20},
        "log": {"path": "served"},
    }
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(pipeline))
    trained(path)
    before = Artifact.load(tmp_path / "models" / "ranker")
    with served(path, tmp_path) as port:
        for user in range(60):
            context = {"position": [60.05, 60.05], "hour": user % 24}
            named: list[Any] = [f"item-{number}" for number in random.choice(60, 20, replace=False)]
            if user % 3 == 0:  # a document of another system, and another value of an item
                named[0] = {"id": f"new-{user}", "features": {"popularity": 2.0, "attributes": [1, -1, 0, 3]}}
                named[1] = {"id": named[1], "features": {"popularity": 1.5}}
            request = {"user_id": f"u{user}", "context": context, "candidates": named, "k": 8}
            answer = ask(port, rank_request(request)).json
            event = {
                "request_id": answer["request_id"],
                "item_id": answer["items"][user % 8]["id"],
                "event": "rated",
                "value": 0.9,
            }
            assert send(port, event).status == 202
    batch, labels = read_log([tmp_path / "served"], WORLD, FEEDBACK)
    np.testing.assert_array_equal(batch.batch.requests["user.profile"], profiles)
    assert np.count_nonzero(labels) == 60
    trained(path, "--from-log", str(tmp_path / "served"))
    after = Artifact.load(tmp_path / "models" / "ranker")
    assert after.version != before.version
    lists = after.lineage["training"]["lists"]
    assert sum(lists.values()) == 60
    assert any(sent is not None for sent in batch.sent)
    with served(path, tmp_path) as port:
        answer = ask(port, rank_request({"user_id": "u1", "k": 8})).json
        assert answer["models"]["ranker"] == after.version
        assert len(answer["items"]) == 8


def trained(path: Path, *more: str) -> None:
    app = typer.Typer()
    app.command()(train)
    result = CliRunner().invoke(app, [str(path), *more])
    assert result.exit_code == 0, result.stderr
