"""Live releases: exactly one is active, requests keep theirs, and unused ones are dropped."""

import asyncio
import gc
import os
import weakref
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from models.artifact import GOLDEN, MANIFEST, Artifact, sha256_of
from models.runtimes.golden import write_golden
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ReleaseError, ReleaseMismatch
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest
from services.releases.live import LiveReleases
from services.releases.release import LiveRelease, Release
from services.releases.staging import ReleaseFolder
from services.units.ingress_replica import build_engine
from services.units.release_commands import ReleaseCommands
from tests.pipelines import WITH_RERANKER, bias_of, make_pipeline, merged
from tests.services.releasing import Named, live_of, stage_shifted

WITH_FALLBACK: Mapping[str, Any] = {"fallback": {"model": "ranker", "popular": {"column": "value"}}}
NAMES = ["a", "b", "c", "bad"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("load"), st.sampled_from(NAMES)),
        st.tuples(st.just("activate"), st.sampled_from(NAMES)),
        st.tuples(st.just("give_up"), st.sampled_from(NAMES)),
        st.tuples(st.just("enter"), st.just("")),
        st.tuples(st.just("leave"), st.just("")),
    ),
    max_size=40,
)


class Loading(LiveReleases):
    """Live releases that load only names, without data. The release "bad" cannot be loaded."""

    def _load_staged(self, name: str) -> LiveRelease:
        if name == "bad":
            raise ReleaseError("weights are not finite")
        return LiveRelease(cast(Release, Named(name)), [])


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_one_release_is_active_and_requests_keep_theirs_in_any_order(steps: list[tuple[str, str]]) -> None:
    async def scenario() -> None:
        live = live_of("first")
        live.__class__ = Loading
        commands = ReleaseCommands(live, "r")
        active, inside = "first", list[LiveRelease]()
        leaving = set[asyncio.Task[Any]]()
        for step, name in steps:
            if step == "load":
                await commands.load_release(name)
                assert (name in live.names) == (name != "bad")
            elif step == "activate":
                leaving.add(asyncio.ensure_future(commands.activate_release(name)))
                active = name if name != "bad" else active
                await wait_until(lambda: live.active.name == active)  # noqa: B023
            elif step == "give_up":
                leaving.add(asyncio.ensure_future(commands.give_up_release(name, "no room")))
                await asyncio.sleep(0)
            elif step == "enter":
                inside.append(live.enter())
            elif inside:
                live.leave(inside.pop(0))
            assert live.active.name == active
            assert all(live.get(loaded.name) is loaded for loaded in [live.active, *inside])
        for loaded in inside:
            live.leave(loaded)
        await asyncio.wait_for(asyncio.gather(*leaving), 5)
        await live.keep_active()
        assert live.names == [active]
        with pytest.raises(ReleaseMismatch, match="release: this replica has loaded"):
            live.get("none-such")
        live.close()

    asyncio.run(scenario())


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def with_releases(
    home: Path,
    scenario: Callable[[Engine, ReleaseCommands, PipelineConfig], Awaitable[None]],
    changes: Mapping[str, Any] | None = None,
) -> None:
    config = load_config(make_pipeline(home, changes))

    async def run() -> None:
        engine = build_engine(config, home, replica="test")
        try:
            async with asyncio.timeout(60):
                await scenario(engine, ReleaseCommands(engine.live, "test"), config)
        finally:
            engine.close()

    asyncio.run(run())


async def score_of(engine: Engine, user: int) -> tuple[float, str]:
    request = RankRequest(user_id=f"u{user}", candidates=["item-0000"], deadline_ms=20_000)
    answer = await engine.rank(request, "1")
    return answer.items[0].score, answer.models["release"]


def test_answers_under_load_have_the_scores_of_the_release_they_name(tmp_path: Path) -> None:
    async def scenario(engine: Engine, commands: ReleaseCommands, config: PipelineConfig) -> None:
        offsets = {engine.release.name: 0.0}
        offsets |= {stage_shifted(config, tmp_path, offset): offset for offset in (0.25, 0.5)}
        seen = set[str]()
        stop = asyncio.Event()

        async def client(user: int) -> None:
            while not stop.is_set():
                score, release = await score_of(engine, user)
                assert score == bias_of(user) + offsets[release]
                seen.add(release)

        clients = [asyncio.ensure_future(client(user)) for user in range(8)]
        for name in [*offsets][1:] * 3:
            status = await commands.activate_release(name)
            assert (status["release"], status["loaded"], status["failed"]) == (name, [name], None)
            assert (await score_of(engine, 1))[1] == name
        stop.set()
        await asyncio.gather(*clients)
        assert seen == set(offsets)

    with_releases(tmp_path, scenario, {"requests": {"default_deadline_ms": 20_000}})


def _of_other_weights(root: Path) -> None:
    """Write golden requests whose expected scores differ from the model's, as if its weights had changed."""
    artifact = Artifact.load(root)
    inputs: dict[str, Any] = {
        "value": np.zeros(3, dtype=np.float32),
        "bias": np.zeros(1, dtype=np.float32),
        "shift": np.zeros(1, dtype=np.float32),
        "request_of": np.zeros(3, dtype=np.int64),
    }
    write_golden(root, inputs, {"score": np.full(3, 7.0, dtype=np.float32)})
    files = {**artifact.files, GOLDEN: sha256_of(root / GOLDEN)}
    document = artifact.model_copy(update={"files": files}).model_dump(mode="json")
    (root / MANIFEST).unlink()
    (root / MANIFEST).write_text(yaml.safe_dump(document))


def _without_weights(root: Path) -> None:
    (root / "model.onnx").unlink()


def _altered(root: Path) -> None:
    content = (root / "model.onnx").read_bytes()
    (root / "model.onnx").unlink()
    (root / "model.onnx").write_bytes(content + b"x")


def _of_other_features(root: Path) -> None:
    manifest = root / "artifact.yaml"
    text = manifest.read_text()
    manifest.unlink()
    manifest.write_text(
        "\n".join(
            "  feature_hash: '" + "0" * 16 + "'" if "feature_hash" in line else line
            for line in text.split("\n")
        )
    )


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_without_weights, "model.onnx is missing"),
        (_altered, "the copy is damaged"),
        (
            _of_other_weights,
            "failed on its golden requests: scores differ by up to 6.75 from the scores at export",
        ),
        (_of_other_features, "trained with feature hash 0000000000000000"),
    ],
)
def test_a_failed_load_keeps_the_old_release_and_reports_the_reason(
    tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    async def scenario(engine: Engine, commands: ReleaseCommands, config: PipelineConfig) -> None:
        before = engine.release.name
        name = stage_shifted(config, tmp_path, 0.25)
        spoil(ReleaseFolder(tmp_path, "small").root / name / "models" / "ranker")
        for call in (commands.load_release, commands.activate_release):
            status = await call(name)
            assert (status["release"], status["loaded"]) == (before, [before])
            assert status["failed"]["release"] == name
            assert why in status["failed"]["why"]
        assert await score_of(engine, 3) == (bias_of(3), before)
        good = stage_shifted(config, tmp_path, 0.5)
        status = await commands.activate_release(good)
        assert status["failed"] is None
        assert await score_of(engine, 3) == (bias_of(3) + 0.5, good)

    with_releases(tmp_path, scenario)


def test_does_not_activate_a_model_whose_scores_are_not_finite(tmp_path: Path) -> None:
    async def scenario(engine: Engine, commands: ReleaseCommands, config: PipelineConfig) -> None:
        before = engine.release.name
        status = await commands.activate_release(stage_shifted(config, tmp_path, float("nan")))
        assert status["release"] == before
        assert "scores must be finite" in status["failed"]["why"]

    with_releases(tmp_path, scenario)


def test_a_replica_that_missed_the_command_follows_the_disk(tmp_path: Path) -> None:
    async def scenario(engine: Engine, commands: ReleaseCommands, config: PipelineConfig) -> None:
        name = stage_shifted(config, tmp_path, 0.25)
        await commands.check_health()
        assert engine.live.behind() is None
        ReleaseFolder(tmp_path, "small").history.note_active(name)
        await commands.check_health()
        assert commands._following is not None
        await commands._following
        assert engine.live.active.name == name

    with_releases(tmp_path, scenario)
    config = load_config(tmp_path / "pipeline.yaml")

    async def started_later() -> None:
        engine = build_engine(config, tmp_path, replica="later")
        assert [engine.release.name] == ReleaseFolder(tmp_path, "small").history.names()
        engine.close()

    asyncio.run(started_later())


def test_a_stopping_replica_refuses_current_and_later_loads(tmp_path: Path) -> None:
    async def scenario(engine: Engine, commands: ReleaseCommands, config: PipelineConfig) -> None:
        before = engine.release.name
        name = stage_shifted(config, tmp_path, 0.25)
        loading = asyncio.ensure_future(commands.activate_release(name))
        await asyncio.sleep(0)
        engine.close()
        for command in (loading, commands.load_release(name)):
            status = await command
            assert (status["release"], status["loaded"]) == (before, [before])
            assert status["failed"] == {"release": name, "why": "this replica is stopping"}

    with_releases(tmp_path, scenario)


def test_twenty_swaps_leak_no_memory_files_or_mappings(tmp_path: Path) -> None:
    async def scenario(engine: Engine, commands: ReleaseCommands, config: PipelineConfig) -> None:
        names = [stage_shifted(config, tmp_path, offset) for offset in (0.25, 0.5)]
        process = psutil.Process()

        async def swap(times: int) -> weakref.ref[Release]:
            for number in range(times):
                old = weakref.ref(engine.release)
                await commands.activate_release(names[number % 2])
                assert (await score_of(engine, 1))[1] == names[number % 2]
            return old

        await swap(6)  # allocators and caches reach their final size
        before = process.memory_info().rss, process.num_fds(), maps()
        old = await swap(20)
        assert old() is None  # freed by reference counts, without the garbage collector
        assert process.num_fds() <= before[1]
        assert maps() <= before[2] + 8
        assert process.memory_info().rss - before[0] < 8 * 2**20
        gc.collect()

    with_releases(tmp_path, scenario, merged(WITH_RERANKER, WITH_FALLBACK))


def maps() -> int:
    return len(Path(f"/proc/{os.getpid()}/maps").read_text().splitlines())
