"""The log and the response cache during swaps: every list belongs to the release that made it."""

import asyncio
from pathlib import Path

import pyarrow.parquet as pq

from models.served_log.reading import read_lists
from services.config.loading import load_config
from services.ingress.schema import RankRequest
from services.units.ingress_replica import build_engine
from services.units.release_commands import ReleaseCommands
from tests.pipelines import FEATURES, bias_of, make_pipeline
from tests.services.releasing import stage_shifted


def test_each_list_is_logged_and_cached_with_its_release(tmp_path: Path) -> None:
    changes = {"log": {"path": "served"}, "response_cache": {"ttl_s": 60}}
    config = load_config(make_pipeline(tmp_path, changes))
    offsets: dict[str, float] = {}
    asked = 0

    async def run() -> None:
        nonlocal asked
        engine = build_engine(config, tmp_path, replica="test")
        swapping = ReleaseCommands(engine.live, "test")
        offsets[engine.release.name] = 0.0
        names = [stage_shifted(config, tmp_path, offset) for offset in (0.25, 0.5)]
        offsets.update(zip(names, (0.25, 0.5), strict=True))
        try:
            for name in (engine.release.name, *names, *names):
                if name != engine.release.name:
                    await swapping.activate_release(name)
                for user in (1, 2, 1, 2):
                    request = RankRequest(user_id=f"u{user}", candidates=["item-0000"])
                    answer = await engine.rank(request, f"r{asked}")
                    asked += 1
                    assert answer.models["release"] == name
                    assert answer.items[0].score == bias_of(user) + offsets[name]
        finally:
            engine.close()

    asyncio.run(run())
    assert len(read_lists([tmp_path / "served"], FEATURES).batch) == asked
    files = list((tmp_path / "served").glob("lists-*.parquet"))
    assert len(files) == 3
    for path in files:
        table = pq.read_table(path)
        (release,) = set(table["release"].to_pylist())
        for user, scores in zip(table["user_id"].to_pylist(), table["scores"].to_pylist(), strict=True):
            assert scores == [bias_of(int(user[1:])) + offsets[release]]
