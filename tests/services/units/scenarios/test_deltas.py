"""Deltas of the catalogue if the ranker is a unit of its own: it has the rows that the ingress sends."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from autoscale.spec import Key
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ReleaseMismatch
from services.ingress.schema import RankRequest
from services.stages.base import RemoteStage
from services.units.ingress_replica import build_engine
from services.units.ranker_unit import _ladders, _merge_of
from services.units.remote_ranker import RankerService, RemoteRanker
from services.units.replica import ReplicaParts
from tests.pipelines import SPLIT, make_pipeline, merged
from tests.services.releases.test_delta_watch import HERE, QUICK, put, until_taken

LIMIT_S = 60
NEVER_S = 10_000.0


def ranker(config: PipelineConfig, home: Path, closing: ExitStack, refresh_s: float) -> RankerService:
    features = config.features.model_copy(update={"refresh_s": refresh_s})
    parts = ReplicaParts(
        closing, config.model_copy(update={"features": features}), home, Key("scorer", ""), "far"
    )
    live = parts.live_releases(_ladders)
    runner = parts.runner(live, parts.unit_metrics(live), _merge_of(live))
    return RankerService(runner, live)


@pytest.mark.parametrize("refresh_s", [0.02, NEVER_S], ids=["watching", "asked by the ingress"])
def test_no_answer_fails_or_is_wrong_while_the_units_have_different_deltas(
    tmp_path: Path, refresh_s: float
) -> None:
    config = load_config(make_pipeline(tmp_path, merged(QUICK, SPLIT)))

    async def scenario() -> None:
        with ExitStack() as closing:
            far = ranker(config, tmp_path, closing, refresh_s)
            stage = RemoteStage("ranker", RemoteRanker(lambda payload, _candidates: far.score(payload)))
            engine = build_engine(config, tmp_path, replica="near", remote={"ranker": stage}, closing=closing)
            is_done = asyncio.Event()

            async def ask() -> None:
                while not is_done.is_set():
                    answer = await engine.rank(RankRequest("u1", context={"position": HERE}, k=20), "1")
                    for item in answer.items:
                        assert item.score - 2000.0 == float(item.id.removeprefix("item-"))

            async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(ask())
                for number in (5000, 5001):
                    removed = [f"item-{number - 1}"] if number > 5000 else []
                    state = put(config, tmp_path, {f"item-{number}": float(number)}, removed)
                    await until_taken(engine, state)
                is_done.set()
            answer = await engine.rank(RankRequest("u1", context={"position": HERE}, k=20), "1")
            assert "item-5001" in {item.id for item in answer.items}
            assert "item-5000" not in {item.id for item in answer.items}

    asyncio.run(scenario())


def test_a_ranker_with_other_deltas_refuses_the_rows(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path, merged(QUICK, SPLIT)))
    here, there = (config.model_copy(update={"deltas": name}) for name in ("here", "there"))
    states = [put(here, tmp_path, {"item-5000": 5000.0}), put(there, tmp_path, {"item-6000": 6000.0})]

    async def scenario() -> None:
        with ExitStack() as closing:
            far = ranker(there, tmp_path, closing, NEVER_S)
            stage = RemoteStage("ranker", RemoteRanker(lambda payload, _candidates: far.score(payload)))
            engine = build_engine(here, tmp_path, replica="near", remote={"ranker": stage}, closing=closing)
            assert engine.release.catalogue.state == states[0] != states[1]
            with pytest.raises(ReleaseMismatch, match="copy the same deltas to all nodes"):
                await engine.rank(RankRequest("u1", context={"position": HERE}), "1")

    asyncio.run(scenario())
