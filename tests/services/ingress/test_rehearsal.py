"""A replica is ready once every shape has run on a request's path."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from models.ragged import RaggedBatch
from services.config.loading import load_config
from services.errors import StageFailed
from services.ingress.http import RankApp
from services.ingress.rehearsal import Rehearsal
from services.ingress.schema import RankRequest
from services.stages.base import AnyStage, RemoteStage
from services.units.ingress_replica import build_engine
from tests.pipelines import SPLIT, WITH_RERANKER, make_pipeline, merged
from tests.services.servers import ask, http_request, http_server

FALLBACK = merged(WITH_RERANKER, {"fallback": {"model": "ranker", "popular": {"column": "value"}}})
LIMIT_S = 20.0


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test()

    asyncio.run(bounded())


def test_every_shape_runs_on_every_rung_with_the_best_last() -> None:
    runs: list[tuple[int, int]] = []

    async def run(requests: int, rung: int) -> None:
        runs.append((rung, requests))

    in_loop(Rehearsal(run, shapes=[1, 2, 5], rungs=2).start)
    assert runs == [(1, 1), (1, 2), (1, 5), (0, 1), (0, 2), (0, 5)]


def test_replica_does_not_start_if_its_own_stage_fails() -> None:
    async def run(requests: int, rung: int) -> None:
        raise StageFailed("no scores")

    with pytest.raises(StageFailed, match="no scores"):
        in_loop(Rehearsal(run, shapes=[1], rungs=1).start)


def test_waits_for_another_unit() -> None:
    fails = [True, True, False, True, False]

    async def run(requests: int, rung: int) -> None:
        if fails.pop(0):
            raise StageFailed("no replica")

    rehearsal = Rehearsal(run, shapes=[1, 2], rungs=1, other_units=["ranker"])
    in_loop(rehearsal.start)
    assert (fails, rehearsal.waits_for) == ([], ())


def test_replica_starts_without_a_silent_unit_and_is_ready_once_it_answers() -> None:
    async def scenario() -> None:
        answers = asyncio.Event()

        async def run(requests: int, rung: int) -> None:
            await answers.wait()

        rehearsal = Rehearsal(run, shapes=[1], rungs=1, other_units=["ranker"], start_limit_s=0.01)
        await rehearsal.start()
        assert rehearsal.waits_for == ("ranker",)
        answers.set()
        while rehearsal.waits_for:
            await asyncio.sleep(0)

    in_loop(scenario)


def test_rehearsal_uses_the_model_thread_and_records_nothing(tmp_path: Path) -> None:
    path = make_pipeline(tmp_path, FALLBACK)

    async def scenario() -> None:
        engine = build_engine(load_config(path), tmp_path, replica="test")
        try:
            seen: list[tuple[str, int, str]] = []
            for ladder in engine.live.active.ladders:
                for rung in ladder.rungs:
                    rung.stage = RecordingStage(rung.stage, seen)
            await engine.rehearse()
            shapes = [1, 2, 4, 8, 12]
            for name, runs in (("features", 2), ("ranker", 2), ("reranker", 1), ("order", 1)):
                assert sorted(count for each, count, _ in seen if each == name) == sorted(runs * shapes)
            assert {thread for _, _, thread in seen} == {"model"}
            assert (engine.metrics.arrived_candidates, engine.metrics.shed_requests) == (0, 0)
            assert not engine.metrics._batches
            rungs = [rung for ladder in engine.live.active.ladders for rung in ladder.rungs]
            assert all(rung.latency.expected_s(20) == 0.0 for rung in rungs)
            assert engine.runner.is_idle
            assert (await engine.rank(RankRequest(user_id="u1"), "1")).degraded is None
        finally:
            engine.close()

    in_loop(scenario)


class RecordingStage:
    """A stage that records each batch's requests and thread."""

    def __init__(self, stage: AnyStage, seen: list[tuple[str, int, str]]) -> None:
        assert not isinstance(stage, RemoteStage)
        self.name, self._stage, self._seen = stage.name, stage, seen

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        self._seen.append((self.name, len(batch), threading.current_thread().name))
        return self._stage(batch)


def test_readyz_is_503_until_the_other_unit_answers(tmp_path: Path) -> None:
    path = make_pipeline(tmp_path, merged(SPLIT, {"fallback": {"popular": {"column": "value"}}}))
    answers = threading.Event()

    async def call(batch: RaggedBatch) -> RaggedBatch:
        if not answers.is_set():
            raise ConnectionError("no replica")
        scores = batch.rows.astype("float32")
        return batch.adding(candidates={"score": scores, "ranker": scores})

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        if "inner" not in made:
            engine = build_engine(
                load_config(path), tmp_path, replica="test", remote={"ranker": RemoteStage("ranker", call)}
            )
            engine.rehearsal.start_limit_s = 0.01
            made["inner"] = RankApp(engine)
        await made["inner"](scope, receive, send)  # type: ignore[arg-type]

    made: dict[str, RankApp] = {}
    with http_server(app) as port:
        reply = ask(port, http_request("GET", "/readyz"))
        assert (reply.status, reply.json["status"]) == (503, "waiting for unit scorer")
        assert ask(port, http_request("GET", "/healthz")).status == 200
        answers.set()
        while ask(port, http_request("GET", "/readyz")).status != 200:
            pass
        assert ask(port, http_request("GET", "/readyz")).json["status"] == "ok"
