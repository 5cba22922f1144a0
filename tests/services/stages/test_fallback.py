"""A whole pipeline whose ranker fails, hangs or is too slow still answers, and reports the degradation."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.ragged import RaggedBatch
from services.config.loading import load_config
from services.errors import ConfigError, DeadlinePassed
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest
from services.scheduling.ladder import Ladder, Rung
from services.stages.base import RemoteStage
from services.units.ingress_replica import build_engine
from tests.pipelines import ITEMS, SPLIT, WITH_RERANKER, bias_of, make_pipeline, merged

FALLBACK: dict[str, Any] = {
    "models": {"small": {"artifact": "model", "runtime": {"kind": "onnx"}}},
    "fallback": {"model": "small", "popular": {"column": "value"}},
}
MEMORY_ALONE: dict[str, Any] = {"fallback": {"popular": {"column": "value"}}}


class Away:
    """A ranker unit that fails, hangs, or scores every candidate 7."""

    def __init__(self, *, fails: bool = False, hangs: bool = False) -> None:
        self.fails, self.hangs = fails, hangs
        self.calls = 0

    async def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise ConnectionError("replica died")
        return batch.adding(candidates={"score": batch.rows * 0 + 7, "ranker": batch.rows * 0 + 7})


def with_engine(
    home: Path, changes: Mapping[str, Any], scenario: Callable[[Engine], Awaitable[None]], away: Away | None
) -> None:
    config = load_config(make_pipeline(home, changes))

    async def run() -> None:
        remote = {} if away is None else {"ranker": RemoteStage("ranker", away)}
        engine = build_engine(config, home, replica="test", remote=remote)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(30):
                await scenario(engine)
        finally:
            engine.close()

    asyncio.run(run())


def test_small_model_replaces_a_dead_ranker_unit_that_is_then_not_called(tmp_path: Path) -> None:
    away = Away(fails=True)

    async def scenario(engine: Engine) -> None:
        for number in range(8):
            answer = await engine.rank(RankRequest(user_id="u1", k=2), str(number))
            assert answer.degraded == "ranker:small:failed"
            for item in answer.items:
                assert item.score == int(item.id.removeprefix("item-")) + bias_of(1)
        assert away.calls < 8

    with_engine(tmp_path, merged(SPLIT, FALLBACK), scenario, away)


def test_hanging_ranker_unit_delays_but_does_not_prevent_the_answer(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        request = RankRequest(user_id="u1", k=2, deadline_ms=300)
        # The reason depends on how soon the machine runs the thread that was woken.
        answer = await engine.rank(request, "1")
        assert answer.degraded in {"ranker:small:late", "ranker:popular:late"}

    with_engine(tmp_path, merged(SPLIT, FALLBACK), scenario, Away(hangs=True))


def test_answers_popular_items_without_a_small_model(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        answer = await engine.rank(RankRequest(user_id="u1", k=3, context={"position": [0.5, 0.5]}), "1")
        assert answer.degraded == "ranker:popular:failed"
        assert [item.id for item in answer.items] == [f"item-{ITEMS - 1 - index:04d}" for index in range(3)]
        named = ["item-0003", "item-0400", "item-0030"]
        answer = await engine.rank(RankRequest(user_id="u1", candidates=named), "2")
        assert [item.id for item in answer.items] == ["item-0400", "item-0030", "item-0003"]

    with_engine(tmp_path, merged(SPLIT, MEMORY_ALONE), scenario, Away(fails=True))


def test_list_of_the_user_goes_before_popular_items(tmp_path: Path) -> None:
    lists = {
        "user_id": ["u1", "u2", None],
        "items": [["item-0007", "gone", "item-0007", "item-0002", None], ["gone"], ["item-0001"]],
    }
    pq.write_table(pa.table(lists), tmp_path / "lists.parquet")

    async def scenario(engine: Engine) -> None:
        own, none = await asyncio.gather(
            engine.rank(RankRequest(user_id="u1"), "1"), engine.rank(RankRequest(user_id="u2", k=1), "2")
        )
        assert own.degraded == "ranker:list:failed"
        assert [(item.id, item.score) for item in own.items[:2]] == [("item-0007", 1.0), ("item-0002", 0.5)]
        assert [item.id for item in own.items[2:]] == [f"item-{ITEMS - 1 - n:04d}" for n in range(8)]
        assert none.degraded == "ranker:popular:failed"

    changes = merged(SPLIT, {"fallback": {"lists": "lists.parquet", "popular": {"column": "value"}}})
    with_engine(tmp_path, changes, scenario, Away(fails=True))


def test_failing_reranker_leaves_the_order_of_the_ranker(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        def broken(batch: RaggedBatch) -> RaggedBatch:
            raise ValueError("bad weights")

        broken.name = "reranker"  # type: ignore[attr-defined]
        engine.live.active.ladders[-1].rungs[0].stage = broken  # type: ignore[assignment]
        answer = await engine.rank(RankRequest(user_id="u1", k=3), "1")
        assert answer.degraded == "reranker:order:failed"
        scores = [item.score for item in answer.items]
        assert scores == sorted(scores, reverse=True)
        assert all(item.score == int(item.id.removeprefix("item-")) + bias_of(1) for item in answer.items)

    with_engine(tmp_path, merged(WITH_RERANKER, FALLBACK), scenario, None)


def test_answer_of_the_whole_pipeline_is_not_degraded(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        answers = await asyncio.gather(
            *[engine.rank(RankRequest(user_id="u1", deadline_ms=20_000), str(n)) for n in range(50)]
        )
        assert {answer.degraded for answer in answers} == {None}

    with_engine(tmp_path, merged(WITH_RERANKER, FALLBACK), scenario, None)


def test_overloaded_engine_refuses_unread_bodies_unless_urgent(tmp_path: Path) -> None:
    gate = threading.Semaphore(0)

    async def scenario(engine: Engine) -> None:
        def held(batch: RaggedBatch) -> RaggedBatch:
            assert gate.acquire(timeout=30)
            return batch

        held.name = "held"  # type: ignore[attr-defined]
        ladders = engine.live.active.ladders
        assert isinstance(ladders, list)
        ladders.insert(0, Ladder("held", [Rung("held", held)]))  # type: ignore[arg-type]
        tasks = [
            asyncio.create_task(engine.rank(RankRequest(user_id="u1", deadline_ms=9000), str(number)))
            for number in range(40)
        ]
        while engine.runner.waiting_candidates < 512:
            await asyncio.sleep(0)
        engine.runner.queue.admission.seconds_per_batch = 10.0
        unread = b'{"deadline_ms": 10000, "candidates": ["nowhere"]}'
        engine.shed(unread)  # no refusal came before, and the body may be read
        for body in (b'{"deadline_ms": 10000}', unread):
            assert engine.runner.refusal(0, time.monotonic() + 9.0) is not None
            with pytest.raises(
                DeadlinePassed,
                match="deadline_ms: too short for the work ahead of this request, got 10000 ms until the deadline;",
            ):
                engine.shed(body)
        for body in (b'{"priority": 1}', b'{"deadline_ms": 60000}', b"no JSON", b'{"priority": "high"}'):
            engine.shed(body)
        gate.release(100)
        await asyncio.gather(*tasks)

    with_engine(tmp_path, FALLBACK, scenario, None)


@pytest.mark.parametrize(
    ("users", "items"),
    [
        ([1], [["item-0001"]]),
        (["u"], [[1]]),
        (["u"], ["item-0001"]),
        (["u"], [1.5]),
        (["u"], [[["item-0001"]]]),
    ],
)
def test_lists_of_wrong_types_are_a_config_error(tmp_path: Path, users: list[Any], items: list[Any]) -> None:
    pq.write_table(pa.table({"user_id": users, "items": items}), tmp_path / "lists.parquet")
    with pytest.raises(ConfigError, match="use text for user_id and lists of text") as refused:
        with_engine(tmp_path, {"fallback": {"lists": "lists.parquet"}}, lambda _: asyncio.sleep(0), None)
    assert refused.value.field == "fallback.lists"


@pytest.mark.parametrize("content", [None, b"no Parquet"])
def test_unreadable_lists_are_a_config_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "lists.parquet").write_bytes(content)
    with pytest.raises(ConfigError, match=r"lists.parquet cannot be read") as refused:
        with_engine(tmp_path, {"fallback": {"lists": "lists.parquet"}}, lambda _: asyncio.sleep(0), None)
    assert refused.value.field == "fallback.lists"
