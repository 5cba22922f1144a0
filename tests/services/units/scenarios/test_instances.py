"""Several instances of a model in one replica, with its real parts, while releases and the catalogue change."""

import asyncio
import faulthandler
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from models.ragged import RaggedBatch
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest, RankResponse
from services.units.ingress_replica import build_engine
from services.units.release_commands import ReleaseCommands
from tests.pipelines import WITH_RERANKER, bias_of, make_pipeline, merged
from tests.services.releases.test_delta_watch import HERE, QUICK, put, until_taken
from tests.services.releasing import stage_shifted

LIMIT_S = 60
THREE: dict[str, Any] = {"models": {"ranker": {"instances": 3}}, "units": {"main": {"cpus": 3}}}

# The default deadline is so long that no batch takes a lower rung on a busy machine.
WITH_MEMORY: dict[str, Any] = {
    "fallback": {"popular": {"column": "value"}},
    "response_cache": {"ttl_s": 60},
    "requests": {"default_deadline_ms": 30_000},
}


class Held:
    """A first stage that holds the batches of some releases until it is opened. Others pass at once."""

    name = "held"

    def __init__(self) -> None:
        self.releases: set[str] = set()
        self.gate = threading.Semaphore(0)
        self.inside = threading.Semaphore(0)

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        if batch.release in self.releases:
            self.inside.release()
            assert self.gate.acquire(timeout=LIMIT_S)
        return batch

    async def until_inside(self) -> None:
        assert await asyncio.to_thread(self.inside.acquire, timeout=LIMIT_S)


def with_engine(
    home: Path,
    changes: Mapping[str, Any],
    scenario: Callable[[Engine, Held, PipelineConfig], Awaitable[None]],
) -> None:
    config, held = load_config(make_pipeline(home, merged(THREE, changes))), Held()

    async def run() -> None:
        engine = build_engine(config, home, replica="test", first_stages=[held])
        # If the scenario hangs, the stacks of all threads show where. They must be read before it is cancelled.
        asyncio.get_running_loop().call_later(LIMIT_S - 5, lambda: faulthandler.dump_traceback(2))
        try:
            async with asyncio.timeout(LIMIT_S):
                await scenario(engine, held, config)
        finally:
            held.gate.release(1000)
            engine.close()

    asyncio.run(run())


async def ask(engine: Engine, user: int) -> RankResponse:
    request = RankRequest(user_id=f"u{user}", candidates=["item-0000"], deadline_ms=30_000)
    return await engine.rank(request, "1")


def test_batches_finish_on_their_releases_whichever_instance_is_slow(tmp_path: Path) -> None:
    async def scenario(engine: Engine, held: Held, config: PipelineConfig) -> None:
        commands, old = ReleaseCommands(engine.live, "test"), engine.release.name
        held.releases.add(old)
        slow = [asyncio.create_task(ask(engine, 1))]
        await held.until_inside()
        new = stage_shifted(config, tmp_path, 0.5)
        await commands.load_release(new)
        activating = asyncio.create_task(commands.activate_release(new))
        while engine.release.name != new:
            await asyncio.sleep(0)
        for user in range(2, 8):  # two instances answer on the new release
            answer = await ask(engine, user)
            assert (answer.models["release"], answer.items[0].score) == (new, bias_of(user) + 0.5)
        assert engine.live.names == [old, new]
        assert not activating.done()
        held.gate.release()
        [answer] = await asyncio.gather(*slow)
        assert (answer.models["release"], answer.items[0].score) == (old, bias_of(1))
        await activating
        assert engine.live.names == [new]

    with_engine(tmp_path, {}, scenario)


def test_old_release_is_freed_after_its_last_batch_on_any_instance(tmp_path: Path) -> None:
    async def scenario(engine: Engine, held: Held, config: PipelineConfig) -> None:
        commands, old = ReleaseCommands(engine.live, "test"), weakref.ref(engine.release)
        held.releases.add(engine.release.name)
        slow = []
        for user in (1, 2):  # one at a time, so that each is a batch of its own
            slow.append(asyncio.create_task(ask(engine, user)))
            await held.until_inside()
        activating = asyncio.create_task(commands.activate_release(stage_shifted(config, tmp_path, 0.5)))
        held.gate.release()
        done, _ = await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)
        gc.collect()
        assert old() is not None
        assert len(done) == 1
        held.gate.release()
        await asyncio.gather(*slow)
        await activating
        del slow, done
        async with asyncio.timeout(LIMIT_S):
            while old() is not None:  # until both threads have dropped their batches
                await asyncio.sleep(0.01)
                gc.collect()

    with_engine(tmp_path, {}, scenario)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        merged(WITH_RERANKER, {"models": {"reranker": {"instances": 2}}}),
        merged(WITH_RERANKER, WITH_MEMORY),
    ],
    ids=["ranker", "two models with other counts", "reranker in turns, with fallback and cache"],
)
def test_every_answer_is_of_one_release_while_releases_and_items_change(
    tmp_path: Path, changes: Mapping[str, Any]
) -> None:
    has_reranker = "reranker" in changes

    async def scenario(engine: Engine, held: Held, config: PipelineConfig) -> None:
        commands = ReleaseCommands(engine.live, "test")
        offsets = {engine.release.name: 0.0}
        answered, is_done = 0, asyncio.Event()

        async def client(user: int) -> None:
            nonlocal answered
            while not is_done.is_set():
                request = RankRequest(f"u{user}", context={"position": HERE}, k=5, deadline_ms=30_000)
                answer = await engine.rank(request, "1")
                assert answer.degraded is None
                answered += 1
                expected = bias_of(user) + offsets[answer.models["release"]] + 0.5 * has_reranker
                for item in answer.items:
                    assert item.score - expected == float(item.id.removeprefix("item-"))
                # Answers from the cache come at once, so clients without a pause would keep a core busy.
                await asyncio.sleep(0.001)

        async with asyncio.TaskGroup() as group:
            for user in range(12):
                group.create_task(client(user))
            names = [stage_shifted(config, tmp_path, offset) for offset in (0.25, 0.75)]
            offsets.update(zip(names, (0.25, 0.75), strict=True))
            for number, name in enumerate([*names, *names, names[0]], start=5000):
                before = answered
                await commands.activate_release(name)
                await until_taken(engine, put(config, tmp_path, {f"item-{number}": float(number)}))
                while answered < before + 12:
                    await asyncio.sleep(0.001)
            is_done.set()
        assert engine.live.names == [names[0]]

    with_engine(tmp_path, merged(QUICK, changes), scenario)


def test_replica_refuses_more_instances_than_it_has_cpus(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path, {"models": {"ranker": {"instances": 3}}}))

    async def run() -> None:
        with pytest.raises(
            ConfigError, match=r"3 instances of 1 threads need 3 CPUs, got units\.main\.cpus: 0\.5"
        ):
            build_engine(config, tmp_path, replica="test")

    asyncio.run(run())
