"""Requests send items with their features: they are ranked beside those of the catalogue, in the same batches."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.artifact import Artifact
from models.features.catalogue import item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec, row_key
from models.features.sent import joined
from models.ragged import RaggedBatch
from models.served_log.kinds import FeedbackConfig
from models.served_log.reading import read_lists, read_log
from models.signature import PairSpec
from services.app import StandaloneApp
from services.config.loading import load_config
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest
from services.releases.loading import load_release
from services.releases.parts import catalogue_only
from services.stages.base import RemoteStage
from services.stages.custom import StageOptions
from services.stores.lmdb import LmdbStore
from services.units.ingress_replica import build_engine
from services.units.remote_ranker import bare_batch
from services.wire import pack_batch, unpack_batch
from tests.pipelines import (
    FEATURES,
    SPLIT,
    WITH_DIVERSITY,
    WITH_RERANKER,
    bias_of,
    make_pipeline,
    make_unranked,
    merged,
    write_vector_model,
)
from tests.services.bad_input import check_problem
from tests.services.ingress.test_engine import with_engine
from tests.services.servers import Reply, ask, http_request, http_server, rank_request

LOGGED = {"log": {"path": "served"}}


def new(number: int, value: float, **features: Any) -> dict[str, Any]:
    return {"id": f"new-{number}", "features": {"value": value, **features}}


@pytest.mark.parametrize(
    ("changes", "added"),
    [
        ({}, 0.0),
        (WITH_RERANKER, 0.5),
        (merged(WITH_RERANKER, WITH_DIVERSITY), 0.5),
        ({"response_cache": {}}, 0.0),
    ],
    ids=["ranker", "reranker", "diversity", "response cache"],
)
def test_concurrent_requests_with_and_without_new_items_each_get_their_own_list(
    tmp_path: Path, changes: Mapping[str, Any], added: float
) -> None:
    async def scenario(engine: Engine) -> None:
        async def one(user: int) -> None:
            named: list[Any] = [f"item-{user:04d}", f"item-{user + 100:04d}"]
            values = {f"item-{user:04d}": float(user), f"item-{user + 100:04d}": user + 100.0}
            if user % 2:
                named.insert(1, new(user, 1000.0 + user, embedding=[1, 0, 0, 0, 0, 0, 0, 0]))
                values[f"new-{user}"] = 1000.0 + user
            if user % 3 == 0:
                named.append({"id": f"item-{user + 200:04d}", "features": {"value": 0.25}})
                values[f"item-{user + 200:04d}"] = 0.25
            answer = await engine.rank(RankRequest(user_id=f"u{user}", candidates=named), str(user))
            assert answer.degraded is None
            assert {i.id: i.score for i in answer.items} == {
                name: value + bias_of(user) + added for name, value in values.items()
            }

        await asyncio.gather(*[one(user) for user in range(60)])
        assert engine.metrics.batch_count < 60

    with_engine(tmp_path, changes, scenario)


@pytest.mark.parametrize(
    "changes",
    [{}, merged(WITH_RERANKER, WITH_DIVERSITY), {"response_cache": {}}],
    ids=["ranker", "reranker", "response cache"],
)
def test_concurrent_requests_that_send_the_same_ids_keep_their_own_features(
    tmp_path: Path, changes: Mapping[str, Any]
) -> None:
    added = 0.5 if "reranker" in changes else 0.0

    async def scenario(engine: Engine) -> None:
        async def one(number: int) -> None:
            known = {"id": "item-0007", "features": {"value": -1.0 - number}}
            named: list[Any] = [new(1, 50.0 + number), known, "item-0003"]
            answer = await engine.rank(RankRequest(user_id="u1", candidates=named[number % 2 :]), str(number))
            values = {"new-1": 50.0 + number, "item-0007": -1.0 - number, "item-0003": 3.0}
            assert len(answer.items) == 3 - number % 2
            for item in answer.items:
                assert item.score == values[item.id] + bias_of(1) + added

        await asyncio.gather(*[one(number) for number in range(60)])
        assert engine.metrics.batch_count < 60

    with_engine(tmp_path, changes, scenario)


def test_vector_model_ranks_new_items(tmp_path: Path) -> None:
    path = make_pipeline(tmp_path)
    write_vector_model(tmp_path / "model")
    named = ["item-0003", new(1, 500.0), {"id": "item-0200", "features": {"value": 0.25}}]
    with http_server(StandaloneApp(path, tmp_path)) as port:
        answer = ask(port, rank_request({"user_id": "u1", "candidates": named})).json
    assert {item["id"]: item["score"] for item in answer["items"]} == {
        "new-1": 500.0 + bias_of(1),
        "item-0003": 3.0 + bias_of(1),
        "item-0200": 0.25 + bias_of(1),
    }


def test_new_items_are_logged_by_their_keys(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await engine.rank(RankRequest(user_id="u1", candidates=["item-0003", new(1, 500.0)]), "r1")
        await engine.rank(RankRequest(user_id="u2", candidates=["item-0003"]), "r2")

    with_engine(tmp_path, LOGGED, scenario)
    shown = read_lists([tmp_path / "served"], FEATURES)
    assert shown.keys.tolist() == [item_key("new-1"), item_key("item-0003"), item_key("item-0003")]


def test_log_has_the_sent_values_of_the_items_that_were_shown(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        named: list[Any] = [{"id": "item-0003", "features": {"value": 2.5}}, new(1, 500.0), new(2, 1.0)]
        await engine.rank(RankRequest(user_id="u1", candidates=named, k=2), "r1")
        await engine.rank(RankRequest(user_id="u1", candidates=["item-0009", new(1, 1.0)], k=1), "r2")
        await engine.rank(RankRequest(user_id="u2", candidates=["item-0003"]), "r3")

    with_engine(tmp_path, LOGGED, scenario)
    first, *others = read_lists([tmp_path / "served"], FEATURES).sent
    assert first is not None
    assert list(first.ids) == ["item-0003", "new-1"]
    assert first.values["value"].tolist() == [2.5, 500.0]
    assert first.values["embedding"][1].tolist() == [0.0] * 8
    assert others == [None, None]


def test_feedback_about_new_items_is_logged_with_their_lists(tmp_path: Path) -> None:
    path = make_pipeline(tmp_path, LOGGED)

    def report(port: int, request_id: str, item_id: str) -> Reply:
        event = {"request_id": request_id, "item_id": item_id, "event": "opened"}
        return ask(port, http_request("POST", "/v1/feedback", json.dumps(event).encode()))

    with http_server(StandaloneApp(path, tmp_path)) as port:
        named = ["item-0003", new(1, 500.0)]
        answer = ask(port, rank_request({"user_id": "u1", "candidates": named})).json
        assert report(port, answer["request_id"], "new-1").status == 202
        check_problem(report(port, answer["request_id"], "x" * 257), 422, "item_id")
    kinds = FeedbackConfig(kinds={"opened": 0.25})
    shown, relevance = read_log([tmp_path / "served"], FEATURES, kinds)
    assert shown.keys.tolist() == [item_key("new-1"), item_key("item-0003")]
    assert relevance.tolist() == [0.25, 0.0]


def test_rules_apply_to_items_that_were_sent(tmp_path: Path) -> None:
    seen = {"history": "user.history", "at_s": "user.history", "now_s": "context.shift", "within_days": 1}
    rules = {"closed": "item.value", "seen": seen}
    changes = merged(WITH_RERANKER, {"reranker": {"rules": rules}})

    async def scenario(engine: Engine) -> None:
        named: list[Any] = [new(1, -1.0), new(2, 1.0), new(3, -3.0), "item-0000", "item-0001"]
        answer = await engine.rank(RankRequest(user_id="u1", candidates=named), "r1")
        assert [item.id for item in answer.items] == ["item-0000", "new-1", "new-3"]
        answer = await engine.rank(RankRequest(user_id="reader", candidates=named), "r2")
        assert [item.id for item in answer.items] == ["item-0000", "new-3"]

    codec, store = UserRowCodec(FEATURES), LmdbStore(tmp_path / "users.lmdb", readonly=False)
    history = np.array([item_key("new-1"), item_key("item-0400")])
    store.write_many([(row_key("user", b"reader"), codec.encode({"history": history}))])
    store.close()
    with_engine(tmp_path, changes, scenario)


def test_popularity_orders_new_items_too(tmp_path: Path) -> None:
    named = [
        "item-0007",
        new(1, 8.5),
        "item-0009",
        {"id": "item-0200", "features": {"value": 7.5}},
        {"id": "n"},
    ]
    path = make_unranked(tmp_path, {"popular": {"column": "value"}})
    with http_server(StandaloneApp(path, tmp_path)) as port:
        answer = ask(port, rank_request({"user_id": "u", "candidates": named})).json
        assert [item["id"] for item in answer["items"]] == [
            "item-0009",
            "new-1",
            "item-0200",
            "item-0007",
            "n",
        ]
        document = {"user_id": "u", "candidates": ["item-0001", new(1, 1.0, colour=3)]}
        check_problem(ask(port, rank_request(document)), 422, "candidates[1].features.colour")
        check_problem(ask(port, rank_request({"user_id": "u", "candidates": [7]})), 422, "candidates[0]")


def test_memory_answers_with_new_items(tmp_path: Path) -> None:
    changes = {"fallback": {"popular": {"column": "value"}}}

    async def failing(batch: RaggedBatch) -> RaggedBatch:
        raise ConnectionError("no ranker")

    async def scenario(engine: Engine) -> None:
        named: list[Any] = ["item-0007", new(1, 8.5), "item-0009"]
        answer = await engine.rank(RankRequest(user_id="u1", candidates=named), "r1")
        assert [item.id for item in answer.items] == ["item-0009", "new-1", "item-0007"]
        assert answer.degraded == "ranker:popular:failed"

    remote = {"ranker": RemoteStage("ranker", failing)}
    with_engine(tmp_path, merged(SPLIT, changes), scenario, remote=remote)


def test_answer_from_memory_with_new_items_is_logged_if_no_feature_is(tmp_path: Path) -> None:
    """Such a list has every logged feature, because there are none."""
    popular = {"fallback": {"popular": {"column": "value"}}, "candidates": {"kind": "sample", "count": 20}}
    path = make_pipeline(tmp_path, merged(SPLIT, {**LOGGED, **popular}))
    plain = FeatureSet(features=(Feature(name="value", group="item"),))
    ids, values = [f"item-{i:04d}" for i in range(50)], np.arange(50, dtype=np.float32)
    write_catalogue(
        tmp_path / "catalogue", name="c", version="1", features=plain, ids=ids, columns={"value": values}
    )
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(plain.model_dump(mode="json")))

    async def failing(batch: RaggedBatch) -> RaggedBatch:
        raise ConnectionError("no ranker")

    async def run() -> None:
        engine = build_engine(
            load_config(path), tmp_path, replica="test", remote={"ranker": RemoteStage("ranker", failing)}
        )
        try:
            answer = await engine.rank(RankRequest(user_id="u", candidates=["item-0003", new(1, 500.0)]), "r")
            assert answer.degraded == "ranker:popular:failed"
        finally:
            engine.close()

    asyncio.run(run())
    assert read_lists([tmp_path / "served"], plain).keys.tolist() == [
        item_key("new-1"),
        item_key("item-0003"),
    ]


def test_ranker_unit_merges_calls_with_and_without_new_items(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path, SPLIT))
    calls: list[RaggedBatch] = []

    async def away(batch: RaggedBatch) -> RaggedBatch:
        calls.append(unpack_batch(pack_batch(bare_batch(batch, 0.0))))
        return batch.adding(candidates={"score": np.zeros(batch.candidate_count, dtype=np.float32)})

    async def run() -> None:
        engine = build_engine(
            config, tmp_path, replica="test", remote={"ranker": RemoteStage("ranker", away)}
        )
        try:
            await engine.rank(RankRequest(user_id="u1", candidates=["item-0003"]), "1")
            await engine.rank(RankRequest(user_id="u2", candidates=[new(1, 9.5), "item-0004"]), "2")
        finally:
            engine.close()

    asyncio.run(run())
    release = load_release(config, tmp_path, ("ranker",))
    release.retire()
    for order in ([0, 1], [1, 0]):
        batch = joined([calls[i] for i in order], release.catalogue)
        scores = release.stages["ranker"](batch).candidates["score"].tolist()
        wanted = [[bias_of(1) + 3], [bias_of(2) + 9.5, bias_of(2) + 4]]
        assert scores == [score for i in order for score in wanted[i]]


def test_refuses_new_items_if_a_stage_or_model_reads_the_catalogue_by_row(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path))
    ranker = Artifact.load(tmp_path / "model")
    assert catalogue_only(config, {"ranker": ranker}) is None
    boosted = config.model_copy(update={"stages": (StageOptions(kind="acme_boost", after="ranker"),)})
    assert catalogue_only(boosted, {"ranker": ranker}) == "the stage acme_boost"
    pair = PairSpec(query="context.query", text="details.summary", max_length=64)
    reader = ranker.model_copy(update={"signature": ranker.signature.model_copy(update={"pair": pair})})
    assert catalogue_only(config, {"ranker": ranker, "reader": reader}) == "the text model reader"
