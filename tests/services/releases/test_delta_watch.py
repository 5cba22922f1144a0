"""Running replicas take deltas of the catalogue, without a wrong or failed answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.features.catalogue import Catalogue
from models.features.deltas.delta import Delta
from models.features.deltas.folder import DeltaFolder
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import Unprocessable
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest, RankResponse
from services.stages.popularity_order import BaseOrder
from services.units.ingress_replica import build_engine
from tests.pipelines import WITH_DIVERSITY, WITH_RERANKER, make_pipeline, merged

LIMIT_S = 30
QUICK: dict[str, Any] = {"features": {"refresh_s": 0.02}}
FALLBACK: dict[str, Any] = {"fallback": {"popular": {"column": "value"}}}
HERE = [0.5, 0.5]


def put(config: PipelineConfig, home: Path, items: Mapping[str, float], removed: Sequence[str] = ()) -> str:
    """Write the next delta: items at HERE with these values. Return the state with it."""
    base = Catalogue.open(home / config.catalogue)
    folder = DeltaFolder.of(base, home / config.deltas_folder)
    catalogue, count = folder.applied(base), len(items)
    columns = {
        "value": np.array(list(items.values()), dtype=np.float32),
        "start": np.tile(np.array(HERE, dtype=np.float32), (count, 1)),
        "embedding": np.tile(np.eye(8, dtype=np.float32)[0], (count, 1)),
    }
    delta = Delta(list(items), columns, [f'{{"id":"{item}"}}'.encode() for item in items], removed)
    return folder.append(catalogue, delta).state


def with_engine(
    home: Path, changes: Mapping[str, Any], scenario: Callable[[Engine, PipelineConfig], Awaitable[None]]
) -> None:
    config = load_config(make_pipeline(home, merged(QUICK, changes)))

    async def run() -> None:
        engine = build_engine(config, home, replica="test")
        try:
            async with asyncio.timeout(LIMIT_S):
                await scenario(engine, config)
        finally:
            engine.close()

    asyncio.run(run())


async def until_taken(engine: Engine, state: str) -> None:
    while engine.release.catalogue.state != state:
        await asyncio.sleep(0.01)  # until the watching thread has seen the file


async def near(engine: Engine) -> RankResponse:
    return await engine.rank(RankRequest("u1", context={"position": HERE}, k=20), "1")


@pytest.mark.parametrize(
    "changes",
    [{}, FALLBACK, merged(WITH_RERANKER, WITH_DIVERSITY), {"response_cache": {"ttl_s": 60.0}}],
    ids=["ranker", "fallback", "reranker", "cache"],
)
def test_added_changed_and_removed_items_are_ranked_as_they_are_now(
    tmp_path: Path, changes: Mapping[str, Any]
) -> None:
    async def scenario(engine: Engine, config: PipelineConfig) -> None:
        before = await near(engine)
        assert "catalogue" not in before.models
        old, gone = before.items[0].id, before.items[1].id
        await until_taken(engine, put(config, tmp_path, {"new": 7000.0, old: 8000.0}, [gone]))
        after = await near(engine)
        scores = {item.id: item.score for item in after.items}
        added = 0.5 if "reranker" in changes else 0.0
        assert scores["new"] == 7000.0 + 2000.0 + added
        assert scores[old] == 8000.0 + 2000.0 + added
        assert [item.id for item in after.items].count(old) == 1
        assert gone not in scores
        assert after.models["catalogue"] == engine.release.catalogue.label
        named = await engine.rank(RankRequest("u1", candidates=["new", old], k=2), "2")
        assert [item.id for item in named.items] == [old, "new"]
        with pytest.raises(Unprocessable, match="not in catalogue small"):
            await engine.rank(RankRequest("u1", candidates=[gone]), "3")
        await until_taken(engine, put(config, tmp_path, {gone: 9000.0}, ["new"]))
        scores = {item.id: item.score for item in (await near(engine)).items}
        assert scores[gone] == 9000.0 + 2000.0 + added
        assert "new" not in scores

    with_engine(tmp_path, changes, scenario)


@pytest.mark.parametrize("changes", [FALLBACK, WITH_RERANKER], ids=["fallback", "reranker"])
def test_every_answer_under_constant_deltas_has_the_values_of_its_own_items(
    tmp_path: Path, changes: Mapping[str, Any]
) -> None:
    deltas = 12
    values = {f"item-{number:04d}": {float(number)} for number in range(500)}
    values |= {f"new-{number}": {5000.0 + number} for number in range(deltas)}

    async def scenario(engine: Engine, config: PipelineConfig) -> None:
        is_done, answers = asyncio.Event(), 0
        added = 0.5 if "reranker" in changes else 0.0

        async def ask(number: int) -> None:
            nonlocal answers
            while not is_done.is_set():
                named = [
                    f"item-{(number * 7 + answers) % 300 + 200:04d}",
                    {"id": "sent", "features": {"value": 3}},
                ]
                candidates: Any = named if number % 2 else None
                request = RankRequest("u1", candidates=candidates, context={"position": HERE}, k=20)
                answer = await engine.rank(request, "1")
                assert len({item.id for item in answer.items}) == len(answer.items)
                for item in answer.items:
                    assert item.score - 2000.0 - added in values.get(item.id, {3.0})
                answers += 1

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(ask(number))
            for number in range(deltas):
                changed = f"item-{number:04d}"
                values[changed].add(6000.0 + number)
                state = put(
                    config, tmp_path, {f"new-{number}": 5000.0 + number, changed: 6000.0 + number},
                    [f"new-{number - 2}"] if number > 1 else [],
                )  # fmt: skip
                await until_taken(engine, state)
            is_done.set()
        assert answers > deltas

    with_engine(tmp_path, changes, scenario)


def test_a_damaged_delta_changes_nothing_until_it_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(engine: Engine, config: PipelineConfig) -> None:
        path = engine.release.deltas.path(1)
        elsewhere = config.model_copy(update={"deltas": "elsewhere"})
        state = put(elsewhere, tmp_path, {"new": 7000.0})
        whole = (tmp_path / "elsewhere" / path.parent.name / path.name).read_bytes()
        path.parent.mkdir(parents=True)
        path.write_bytes(whole[:100])
        while "a delta cannot be used" not in caplog.text:
            await asyncio.sleep(0.01)
        assert "new" not in {item.id for item in (await near(engine)).items}
        path.write_bytes(whole)
        await until_taken(engine, state)
        assert "new" in {item.id for item in (await near(engine)).items}

    with_engine(tmp_path, {}, scenario)


def order_of(engine: Engine) -> BaseOrder:
    memory = engine.release.memory
    assert memory is not None
    return memory.popular.order.base


def test_nothing_is_made_again_for_the_items_that_a_delta_does_not_change(tmp_path: Path) -> None:
    async def scenario(engine: Engine, config: PipelineConfig) -> None:
        base = engine.release.catalogue.base
        assert "row_by_id" in vars(base)  # no request waits until the ids are indexed
        row_by_id, order = base.row_by_id, order_of(engine)
        for number in range(3):
            await until_taken(engine, put(config, tmp_path, {f"new-{number}": 1.0, "item-0001": 2.0}))
            assert engine.release.catalogue.base is base
            assert base.row_by_id is row_by_id
            assert order_of(engine) is order

    with_engine(tmp_path, FALLBACK, scenario)


def test_a_restart_has_the_same_items(tmp_path: Path) -> None:
    async def first(engine: Engine, config: PipelineConfig) -> None:
        await until_taken(engine, put(config, tmp_path, {"new": 7000.0, "item-0001": 7001.0}, ["item-0002"]))

    async def second(engine: Engine, config: PipelineConfig) -> None:
        catalogue = engine.release.catalogue
        assert catalogue.item_count == 500
        assert "item-0002" not in catalogue.row_by_id
        named = await engine.rank(RankRequest("u1", candidates=["new", "item-0001"], k=2), "1")
        assert [item.score for item in named.items] == [9001.0, 9000.0]

    with_engine(tmp_path, {}, first)
    with_engine(tmp_path, {}, second)
