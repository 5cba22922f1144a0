"""The traffic log: an engine's traffic becomes files that the simulator reads, and nothing waits for them."""

import asyncio
import json
from pathlib import Path

import pytest

from autoscale.traces.recorded_traffic import read_traffic
from services.config.loading import load_config
from services.ingress.schema import RankRequest
from services.logs.traffic import RecordConfig, TrafficLog
from services.units.ingress_replica import build_engine
from tests.pipelines import make_pipeline

PIPELINE = json.dumps({"name": "p", "units": {"main": {"stages": ["features", "ranker"]}}})


def test_an_engines_traffic_is_recorded_with_its_pipeline(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path)).model_copy(update={"record": RecordConfig(path="traffic")})

    async def served() -> None:
        engine = build_engine(config, tmp_path, replica="r1")
        try:
            for _ in range(3):
                await engine.rank(RankRequest(user_id="u1", k=5), "id")
        finally:
            engine.close()

    asyncio.run(served())
    traffic = read_traffic(tmp_path / "traffic")
    (arrivals,) = traffic.trace.arrivals()
    assert arrivals.candidates.tolist() == [config.candidates.count] * 3
    assert traffic.batches["main"] >= 1
    assert traffic.batched["main"] == 3 * config.candidates.count
    assert traffic.pipeline["name"] == config.name


def test_drops_notes_past_the_limit_and_writes_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moments = iter(float(second) for second in range(1000, 2000))
    recording = RecordConfig(path="traffic", roll_s=3600, max_notes_waiting=2)
    log = TrafficLog(recording, tmp_path, PIPELINE, "r1", clock=lambda: next(moments))
    for _ in range(5):
        log.note("arrival", "main", "local", 1, 7)
    log.close()
    assert "3 traffic records were dropped" in caplog.text
    (arrivals,) = read_traffic(tmp_path / "traffic").trace.arrivals()
    assert len(arrivals) == 2


def test_unwritable_folder_loses_only_the_notes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "traffic").write_text("a file is in the way")
    log = TrafficLog(RecordConfig(path="traffic"), tmp_path, PIPELINE, "r1")
    log.note("arrival", "main", "local", 1, 7)
    log.close()
    assert "could not be recorded" in caplog.text
