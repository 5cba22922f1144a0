"""Texts through the engine: each request's query meets its own candidates, whatever the rest of the batch."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from models.ragged import RaggedArray
from services.config.loading import load_config
from services.deployment.check import check_artifacts
from services.errors import RequestError, Unprocessable
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest, parse_rank_request
from services.stages.query import Query, merge_queries
from services.units.ingress_replica import build_engine
from services.wire import pack_batch, unpack_batch
from tests.pipelines import make_pipeline, merged
from tests.texts import MOST_BYTES, WORDS, add_texts, score_of, write_text_model

ASKED = [
    "quiet forest",
    "",
    "  ",
    "Sea 🌲 nonsense",
    "path " * 30,  # more tokens than fit beside an item's text
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("texts")
    make_pipeline(home)
    add_texts(home)
    return home


def test_scores_each_request_by_its_own_query(home: Path) -> None:
    async def scenario(engine: Engine) -> None:
        ids = engine.release.catalogue.ids

        async def ask(number: int) -> None:
            query = ASKED[number % len(ASKED)]
            named = [ids[(number * 17 + i) % len(ids)] for i in range(1 + number % 25)]
            request = RankRequest(
                user_id="u1", candidates=named, k=50, context={"query": query} if query else {}
            )
            answer = await engine.rank(request, str(number))
            assert {item.id for item in answer.items} == set(named)
            scores = [item.score for item in answer.items]
            assert scores == sorted(scores, reverse=True)
            if not query.split():
                # the unchanged score of the ranker: the item's value plus the user's bias
                assert [s - 2000.0 for s in scores] == [int(i.id.removeprefix("item-")) for i in answer.items]
            elif len(query.split()) < 10:
                assert scores == [score_of(query, item.id) for item in answer.items]

        await asyncio.gather(*[ask(number) for number in range(60)])
        assert engine.metrics.batch_count < 60

    run(home, scenario)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"user_id":"u","context":{"query":7}}', "context.query: expected text, got 7.0; send a string"),
        (
            b'{"user_id":"u","context":{"query":[1.0]}}',
            "context.query: expected text, got [1.0]; send a string",
        ),
        (b'{"user_id":"u","context":{"query":null}}', "got `null`"),
        (b'{"user_id":"u","context":{"query":["a"]}}', "got `str`"),
        (
            b'{"user_id":"u","context":{"query":"' + b"x" * 10_240 + b'"}}',
            f"context.query: more than {MOST_BYTES} bytes of UTF-8, got 10240",
        ),
        (b'{"user_id":"u","context":{"query":"' + "🌲".encode() * 51 + b'"}}', "got 204"),
        (b'{"user_id":"u","context":{"shift":"sea"}}', "context.shift: wrong type or length; send a number"),
        (
            b'{"user_id":"u","context":{"text":"sea"}}',
            "not a context feature of this pipeline; send only these: position, shift, query",
        ),
        (b'{"user_id":"u","context":{"query":"\xff\xfe"}}', "cannot be read as JSON"),
        (b'{"user_id":"u","context":{"query":"\\ud83c"}}', "cannot be read as JSON"),
        (b'{"user_id":"u","context":{"query":"\\udf32 x"}}', "cannot be read as JSON"),
    ],
)
def test_rejects_context_that_is_not_text(home: Path, body: bytes, message: str) -> None:
    async def scenario(engine: Engine) -> None:
        with pytest.raises(RequestError) as caught:
            await engine.rank(parse_rank_request(body), "1")
        assert message in str(caught.value)
        assert caught.value.status in {400, 422}
        assert isinstance(caught.value, Unprocessable) == ("cannot be read as JSON" not in message)

    run(home, scenario)


@pytest.mark.parametrize(
    "query", ["🌲" * 50, "\0\x1b[2J", "\u202e sea", "a" * MOST_BYTES, "[CLS] [SEP]", "中文" * 33]
)
def test_answers_any_text_within_the_limit(home: Path, query: str) -> None:
    async def scenario(engine: Engine) -> None:
        answer = await engine.rank(RankRequest(user_id="u1", context={"query": query}), "1")
        assert len(answer.items) == 10 and answer.degraded is None
        assert all(np.isfinite(item.score) for item in answer.items)

    run(home, scenario)


def test_texts_travel_between_units_and_are_drawn_with_their_requests(home: Path) -> None:
    async def scenario(engine: Engine) -> None:
        release = engine.release
        texts = [*WORDS, ""]
        contexts = [release.layout.encode({"query": text}) for text in texts]
        queries = [
            Query(b"u1", context, np.array([i, i + 1]), 9.0, 0, 5) for i, context in enumerate(contexts)
        ]
        batch = merge_queries(queries, release.name, release.layout, release.source)

        there = unpack_batch(pack_batch(batch)).take(np.array([3, 6, 0, 5]))

        column = there.requests["context.query"]
        assert isinstance(column, RaggedArray)
        assert [column[i].tobytes().decode() for i in range(4)] == ["path", "", "quiet", "🌲"]

    run(home, scenario)


def test_tokens_are_stored_beside_the_catalogue_and_computed_once(home: Path) -> None:
    async def scenario(engine: Engine) -> None:
        assert len(engine.release.models) == 2

    run(home, scenario)
    files = {path: path.stat().st_mtime_ns for path in (home / "catalogue-tokens").iterdir()}
    assert {path.suffix for path in files} == {".ids", ".npy"}
    run(home, scenario)
    assert {path: path.stat().st_mtime_ns for path in (home / "catalogue-tokens").iterdir()} == files


def test_check_accepts_text_pipeline_and_rejects_it_without_the_query(home: Path, tmp_path: Path) -> None:
    config = load_config(home / "pipeline.yaml")
    assert check_artifacts(config, home) == []

    other = tmp_path / "other"
    other.mkdir()
    make_pipeline(other)
    add_texts(other)
    write_text_model(other / "text", query="context.words")
    path = other / "pipeline.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), {"name": "other"})))
    (fault,) = check_artifacts(load_config(path), other)
    assert "models.reranker.artifact: context.words is not a text of this pipeline" in fault


def run(home: Path, scenario: Callable[[Engine], Awaitable[None]]) -> None:
    config = load_config(home / "pipeline.yaml")

    async def inside() -> None:
        engine = build_engine(config, home, replica="test")
        try:
            async with asyncio.timeout(30):
                await scenario(engine)
        finally:
            engine.close()

    asyncio.run(inside())
