"""A pipeline with features of every group: its answers follow the store's events, the time and the overlay."""

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.features.catalogue import item_key
from models.features.live import LiveItems
from models.features.overlay import Overlay
from models.ragged import RaggedBatch
from services.config.loading import load_config
from services.deployment.check import check_artifacts
from services.errors import ConfigError
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest
from services.releases.loading import load_release
from services.scheduling.ladder import Ladder
from services.scheduling.response_cache import ResponseCacheConfig
from services.scheduling.runner import Runner
from services.stages.base import RemoteStage
from services.telemetry.metrics import UnitMetrics
from services.units.ingress_replica import build_engine
from services.units.remote_ranker import RankerService, RemoteRanker
from tests.overlaid import CELLS, FEATURES, NOW_S, make_overlaid_pipeline, set_bonus, write_overlay
from tests.services.releasing import live_of

LIMIT_S = 30.0
CELL_OF = {f"item-{i}": i % (CELLS + 1) - 1 for i in range(CELLS + 1)}
SPLIT = {
    "main": {"stages": ["features"], "max_calls_in_flight": 2},
    "scorer": {"stages": ["ranker"], "cpus": 0.5},
}


async def scores(engine: Engine, user: str = "u", **context: float) -> dict[int, float]:
    """Return the score of one item per cell."""
    request = RankRequest(user_id=user, candidates=list(CELL_OF), context=dict(context))
    answer = await engine.rank(request, "1")
    assert answer.degraded is None
    return {CELL_OF[item.id]: item.score for item in answer.items}


def expected(visits: int, rain: float, crowd: float | None) -> dict[int, float]:
    own = 1000.0 * visits + 10.0 * rain
    return {c: own + (0.25 if crowd is None or c < 0 else crowd + c) for c in range(-1, CELLS)}


def test_answer_follows_the_time_the_store_and_the_overlay(tmp_path: Path) -> None:
    config = load_config(make_overlaid_pipeline(tmp_path))

    async def run() -> None:
        engine = build_engine(config, tmp_path, replica="test")
        try:
            assert await scores(engine) == expected(2, 1.0, 2.0)
            assert await scores(engine, user="nobody") == expected(0, 1.0, 2.0)
            assert await scores(engine, now_s=NOW_S - 20.0) == expected(2, 0.5, None)  # before the snapshot
            assert await scores(engine, now_s=NOW_S + 55.0) == expected(1, 0.5, 2.0)  # the rain is stale
            write_overlay(tmp_path / "overlay", rain=3.0, crowd=7.0)
            async with asyncio.timeout(LIMIT_S):
                while (result := await scores(engine)) == expected(2, 1.0, 2.0):
                    await asyncio.sleep(0.01)
            assert result == expected(2, 3.0, 7.0)  # the whole new overlay
        finally:
            engine.close()
        again = build_engine(config, tmp_path, replica="test")
        try:
            assert await scores(again) == expected(2, 3.0, 7.0)
        finally:
            again.close()

    asyncio.run(run())


def test_cached_answers_follow_the_overlay_and_the_live_features(tmp_path: Path) -> None:
    path = make_overlaid_pipeline(tmp_path)
    config = load_config(path).model_copy(update={"response_cache": ResponseCacheConfig(ttl_s=3600)})
    closed = LiveItems.none(FEATURES).setting(FEATURES, "bonus", np.array([item_key("item-0")]), -5.0)

    async def run() -> None:
        engine = build_engine(config, tmp_path, replica="test")
        try:
            first = await scores(engine)
            write_overlay(tmp_path / "overlay", rain=3.0, crowd=7.0)
            async with asyncio.timeout(LIMIT_S):
                while (second := await scores(engine)) == first:
                    await asyncio.sleep(0.01)
                assert second == expected(2, 3.0, 7.0)
                closed.write(tmp_path / "live", FEATURES)
                while (third := await scores(engine)) == second:
                    await asyncio.sleep(0.01)
            assert third == {**second, CELL_OF["item-0"]: second[CELL_OF["item-0"]] - 5.0}
            served = engine.metrics.candidate_count
            assert await scores(engine) == third
            assert engine.metrics.candidate_count == served  # cached again
        finally:
            engine.close()

    asyncio.run(run())


def test_replica_starts_from_folders_that_a_killed_writer_moved_aside(tmp_path: Path) -> None:
    config = load_config(make_overlaid_pipeline(tmp_path))
    set_bonus(config, tmp_path, 64.0, "item-0")
    folders = [config.catalogue, "overlay", "live", *(model.artifact for model in config.models.values())]
    for folder in folders:
        (tmp_path / folder).rename(tmp_path / f"{folder}.replaced")
    assert check_artifacts(config, tmp_path) == []

    async def run() -> None:
        engine = build_engine(config, tmp_path, replica="test")
        try:
            known = expected(2, 1.0, 2.0)
            assert await scores(engine) == {**known, CELL_OF["item-0"]: known[CELL_OF["item-0"]] + 64.0}
        finally:
            engine.close()

    asyncio.run(run())
    assert not [folder for folder in folders if (tmp_path / folder).exists()]  # a replica writes nothing


def test_ranker_unit_scores_with_cell_and_global_features_of_the_ingress(tmp_path: Path) -> None:
    config = load_config(make_overlaid_pipeline(tmp_path, SPLIT))

    async def run() -> None:
        far = load_release(config, tmp_path, ("ranker",))
        far.view.overlay = Overlay.empty()
        runner: Runner[RaggedBatch] = Runner(
            merge=lambda batches, _release: RaggedBatch.concatenate(batches),
            ladders_of=lambda _release: [Ladder.from_stage(far.stages["ranker"])],
            batching=config.units["scorer"].batching,
            max_in_flight=1,
            metrics=UnitMetrics("scorer", "test"),
        )
        service = RankerService(runner, live_of(far.name))
        remote = RemoteRanker(lambda payload, _candidates: service.score(payload))
        engine = build_engine(
            config, tmp_path, replica="test", remote={"ranker": RemoteStage("ranker", remote)}
        )
        try:
            assert await scores(engine) == expected(2, 1.0, 2.0)
        finally:
            engine.close()
            runner.close()

    asyncio.run(run())


def test_unusable_overlay_is_a_config_error(tmp_path: Path) -> None:
    config = load_config(make_overlaid_pipeline(tmp_path))
    assert check_artifacts(config, tmp_path) == []
    shutil.rmtree(tmp_path / "overlay")
    faults = check_artifacts(config, tmp_path)
    assert [fault.partition(":")[0] for fault in faults] == ["features.overlay"]
    with pytest.raises(ConfigError, match="no overlay at") as refused:
        load_release(config, tmp_path, ("features",))
    assert refused.value.field == "features.overlay"
