"""The engine without HTTP: whole pipelines, whose answers are compared with the expected scores."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.ragged import RaggedBatch
from services.config.loading import load_config
from services.errors import ConfigError, Overloaded, StageFailed, Unprocessable
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest
from services.stages.base import RemoteStage
from services.units.ingress_replica import build_engine
from tests.pipelines import SPLIT, USERS, WITH_DIVERSITY, WITH_RERANKER, bias_of, make_pipeline, merged


def with_engine(
    home: Path,
    changes: Mapping[str, Any],
    scenario: Callable[[Engine], Awaitable[None]],
    **more: Any,
) -> None:
    config = load_config(make_pipeline(home, changes))

    async def run() -> None:
        engine = build_engine(config, home, replica="test", **more)
        try:
            async with asyncio.timeout(30):
                await scenario(engine)
        finally:
            engine.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "added"),
    [({}, 0.0), (WITH_RERANKER, 0.5), (merged(WITH_RERANKER, WITH_DIVERSITY), 0.5)],
    ids=["ranker", "reranker", "diversity"],
)
def test_concurrent_requests_each_get_their_own_list(
    tmp_path: Path, changes: Mapping[str, Any], added: float
) -> None:
    async def scenario(engine: Engine) -> None:
        ids = engine.release.catalogue.ids
        random = np.random.default_rng(1)

        async def ask(number: int) -> None:
            user = number % (USERS + 4)
            named = random.choice(len(ids), int(random.integers(1, 60)), replace=False).tolist()
            request = RankRequest(
                user_id=f"u{user}",
                candidates=[ids[row] for row in named] if number % 3 else None,
                context={"shift": float(-number)},
                k=int(random.integers(1, 40)),
            )
            answer = await engine.rank(request, str(number))
            bias = bias_of(user) if user < USERS else 0.0
            best = min(30, len(named) if number % 3 else 20) if added else (len(named) if number % 3 else 20)
            assert len(answer.items) == min(request.k, best)
            assert len({item.id for item in answer.items}) == len(answer.items)
            for item in answer.items:
                value = int(item.id.removeprefix("item-"))
                assert item.score == value + bias - number + added
            if number % 3:
                assert {item.id for item in answer.items} <= {ids[row] for row in named}
            if "diversity" not in (changes.get("reranker") or {}):
                scores = [item.score for item in answer.items]
                assert scores == sorted(scores, reverse=True)

        await asyncio.gather(*[ask(number) for number in range(150)])
        assert engine.runner.waiting_candidates == 0
        assert engine.metrics.batch_count < 150

    with_engine(tmp_path, changes, scenario)


def test_diversity_ranks_a_new_item_before_a_duplicate(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        vectors = engine.release.catalogue.columns["embedding"]
        answer = await engine.rank(RankRequest(user_id="u1", k=5), "1")
        rows = [engine.release.catalogue.row_by_id[item.id] for item in answer.items]
        assert len(np.unique(np.asarray(vectors)[rows].argmax(axis=1))) == 5

    with_engine(tmp_path, merged(WITH_RERANKER, WITH_DIVERSITY), scenario)


def test_answer_contains_versions_and_timings(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        answer = await engine.rank(RankRequest(user_id="u1", k=3, explain=True), "id-7")
        assert answer.request_id == "id-7"
        assert set(answer.models) == {"ranker", "reranker", "release"}
        assert list(answer.timings_ms) == ["queue", "features", "ranker", "reranker"]
        for item in answer.items:
            assert item.scores == {"ranker": item.score - 0.5, "reranker": item.score}

    with_engine(tmp_path, WITH_RERANKER, scenario)


@pytest.mark.parametrize("changes", [{}, WITH_RERANKER])
def test_answer_says_if_the_user_is_unknown(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    async def scenario(engine: Engine) -> None:
        users = ["u1", "stranger", "u2", "another"]
        answers = await asyncio.gather(*[engine.rank(RankRequest(user_id=user), user) for user in users])
        for user, answer in zip(users, answers, strict=True):
            document = msgspec.json.decode(msgspec.json.encode(answer))
            assert document.get("unknown_user") is (None if user.startswith("u") else True)
            assert document["degraded"] is None

    with_engine(tmp_path, changes, scenario)


def test_swapped_position_is_refused(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        for column in ([0.5, 0.5], [60.0, 25.0]):
            await engine.rank(RankRequest(user_id="u1", context={"position": column}), "1")

    async def swapped(engine: Engine) -> None:
        with pytest.raises(Unprocessable, match=r"got \[0.5, 60\], which is far from all; did you mean"):
            await engine.rank(RankRequest(user_id="u1", context={"position": [0.5, 60.0]}), "1")

    with_engine(tmp_path, {}, scenario)
    starts = np.load(tmp_path / "catalogue" / "start.npy") + np.array([60.0, 0.0], dtype=np.float32)
    np.save(tmp_path / "catalogue" / "start.npy", starts)
    config = load_config(tmp_path / "pipeline.yaml")

    async def run() -> None:
        engine = build_engine(config, tmp_path, replica="test")
        try:
            await swapped(engine)
        finally:
            engine.close()

    asyncio.run(run())


def test_rejects_forbidden_value_and_names_the_field(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        for request, field in (
            (RankRequest(user_id="u1", k=101), "k"),
            (RankRequest(user_id="u1", candidates=["nowhere"]), "candidates[0]"),
            (RankRequest(user_id="u1", candidates=["item-0001"] * 401), "candidates"),
            (RankRequest(user_id="u1", context={"mood": 1.0}), "context.mood"),
        ):
            with pytest.raises(Unprocessable) as refused:
                await engine.rank(request, "1")
            assert refused.value.field == field

    with_engine(tmp_path, {}, scenario)


def test_calls_ranker_of_another_unit_and_fails_if_it_fails(tmp_path: Path) -> None:
    calls: list[RaggedBatch] = []

    async def away(batch: RaggedBatch) -> RaggedBatch:
        calls.append(batch)
        if len(calls) > 1:
            raise ConnectionError("replica died")
        return batch.adding(candidates={"score": np.arange(batch.candidate_count, dtype=np.float32)})

    async def scenario(engine: Engine) -> None:
        answer = await engine.rank(RankRequest(user_id="u1", k=2), "1")
        assert [item.score for item in answer.items] == [19.0, 18.0]
        assert set(answer.models) == {"ranker", "release"}
        with pytest.raises(StageFailed, match="stage ranker failed: ConnectionError"):
            await engine.rank(RankRequest(user_id="u1"), "2")

    with_engine(tmp_path, SPLIT, scenario, remote={"ranker": RemoteStage("ranker", away)})


def test_stage_without_a_unit_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no unit has the stage ranker"):
        with_engine(tmp_path, SPLIT, lambda _engine: asyncio.sleep(0))


def test_closed_engine_refuses_requests_and_releases_its_store(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        engine.close()
        with pytest.raises(Overloaded):
            await engine.rank(RankRequest(user_id="u1"), "1")

    for _ in range(2):
        with_engine(tmp_path, {}, scenario)
