"""The skew report: unchanged data do not differ, and a change is reported for its feature."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import root
from models.features.rows import UserRowCodec, row_key
from services.config.loading import load_config
from services.ingress.schema import RankRequest
from services.logs.writer import LogConfig
from services.offline import skew
from services.offline.skew import FeatureSkew, SkewReport, _compare, _compare_sequence, skew_report
from services.stores.lmdb import LmdbStore
from services.units.ingress_replica import build_engine
from tests.overlaid import CELLS, FEATURES, NOW_S, VISITS_S, make_overlaid_pipeline, write_overlay
from tests.pipelines import bias_of, make_pipeline
from tests.services.stores.servers import needs_redis, redis_server

ITEMS = tuple(f"item-{number}" for number in range(CELLS + 1))


def logged(path: Path, home: Path, users: Sequence[str] = ("u", "v"), items: Sequence[Any] = ITEMS) -> Path:
    """Serve and log a few lists, and return the folder of the log."""
    config = load_config(path).model_copy(update={"log": LogConfig(path="served")})

    async def run() -> None:
        engine = build_engine(config, home, replica="test")
        for number in range(20):
            request = RankRequest(user_id=users[number % 2], candidates=list(items))
            await engine.rank(request, f"r{number}")
        engine.close()

    asyncio.run(run())
    return home / "served"


def report(path: Path, home: Path, log: Path) -> tuple[SkewReport, dict[str, FeatureSkew]]:
    result = skew_report(load_config(path), home, [log])
    return result, {each.feature: each for each in result.features}


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    return make_overlaid_pipeline(tmp_path)


def test_unchanged_data_have_no_skew(pipeline: Path, tmp_path: Path) -> None:
    result, features = report(pipeline, tmp_path, logged(pipeline, tmp_path))
    assert (result.lists, result.unread) == (20, 0)
    assert set(features) == {"user.home", "realtime.visits", "global.rain", "cell.crowd", "live.bonus"}
    assert [each.differing for each in features.values()] == [0] * 5
    assert features["global.rain"].values == 20
    assert features["cell.crowd"].values == 100


def test_late_event_differs_but_an_event_after_the_lists_does_not(pipeline: Path, tmp_path: Path) -> None:
    log = logged(pipeline, tmp_path)
    codec = UserRowCodec(FEATURES, "realtime")
    for at_s, differing in ((NOW_S + 500.0, 0), (995.0, 10)):
        row = None
        for sequence, each_s in enumerate((*VISITS_S, at_s)):
            row = codec.with_event(row, "visit", each_s, sequence, {})
        assert row is not None
        store = LmdbStore(tmp_path / "users", readonly=False)
        store.write_many([(row_key("realtime", b"u"), row)])
        store.close()
        _, features = report(pipeline, tmp_path, log)
        visits = features["realtime.visits"]
        assert (visits.values, visits.differing, visits.max_difference) == (
            20,
            differing,
            float(differing > 0),
        )


def test_rewritten_overlay_differs_from_served_features(pipeline: Path, tmp_path: Path) -> None:
    log = logged(pipeline, tmp_path)
    write_overlay(tmp_path / "overlay", rain=3.5, crowd=2.0)
    _, features = report(pipeline, tmp_path, log)
    assert (features["global.rain"].share, features["global.rain"].max_difference) == (1.0, 2.5)
    assert features["cell.crowd"].differing == 0
    write_overlay(tmp_path / "overlay", rain=1.0, crowd=2.75)
    _, features = report(pipeline, tmp_path, log)
    assert features["global.rain"].differing == 0
    assert features["cell.crowd"].share == 0.8, "an item in no cell has the default, now and then"
    assert features["cell.crowd"].max_difference == 0.75


def test_command_prints_table_and_json(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    log = logged(pipeline, tmp_path)
    write_overlay(tmp_path / "overlay", rain=3.5, crowd=2.0)
    words = ["log", "skew", str(pipeline), str(log)]
    shown = CliRunner().invoke(root(words), words, env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    assert "global.rain" in shown.output
    assert "100.00%" in shown.output
    report = json.loads(CliRunner().invoke(root(words), [*words, "--json"]).stdout)
    assert report["lists"] == 20
    rain = {"feature": "global.rain", "values": 20, "differing": 20, "max_difference": 2.5, "share": 1.0}
    assert rain in report["features"]
    gone = ["log", "skew", str(pipeline), str(tmp_path / "nowhere")]
    refused = CliRunner().invoke(root(gone), gone)
    assert refused.exit_code == 2
    assert "no log at" in refused.output


def test_items_that_were_sent_with_features_have_no_skew(pipeline: Path, tmp_path: Path) -> None:
    moved = {"id": ITEMS[0], "features": {"cell": 2}}
    sent: list[Any] = [*ITEMS[1:], moved, {"id": "new", "features": {"cell": 1}}, {"id": "nowhere"}]
    result, features = report(pipeline, tmp_path, logged(pipeline, tmp_path, items=sent))
    assert (result.lists, result.unread) == (20, 0)
    assert [each.differing for each in features.values()] == [0] * 5
    assert features["cell.crowd"].values == 20 * len(sent)


@needs_redis
def test_compares_users_of_a_server_and_counts_them_as_unread_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    log = logged(make_pipeline(tmp_path), tmp_path, ("u1", "u2"), ("item-0001", "item-0002"))
    with redis_server(tmp_path) as server:
        path = make_pipeline(tmp_path, {"features": {"store": {"kind": "redis", "nodes": [server.node]}}})
        _, features = report(path, tmp_path, log)
        assert (features["user.bias"].differing, features["user.bias"].max_difference) == (20, bias_of(2))
        words = ["features", "load", str(path), str(tmp_path / "users.lmdb")]
        assert CliRunner().invoke(root(words), words).exit_code == 0
        result, features = report(path, tmp_path, log)
        assert (result.lists, result.unread, features["user.bias"].differing) == (20, 0, 0)
    monkeypatch.setattr(skew, "_CONNECT_LIMIT_S", 0.0)
    result, features = report(path, tmp_path, log)
    assert (result.lists, result.unread, features["user.bias"].values) == (0, 20, 0)


def test_compares_nan_values_and_sequence_lengths() -> None:
    values = FeatureSkew("user.x")
    _compare(values, np.array([1.0, np.nan, np.nan, 2.0]), np.array([1.0, np.nan, 3.0, 4.5]))
    assert (values.values, values.differing, values.max_difference) == (4, 2, 2.5)
    keys = FeatureSkew("user.history")
    _compare_sequence(keys, np.array([2**62, 5, 6]), np.array([5, 6]))
    _compare_sequence(keys, np.array([2**62]), np.array([2**62 + 1]))
    _compare_sequence(keys, np.array([], dtype=np.int64), np.array([], dtype=np.int64))
    assert (keys.values, keys.differing) == (3, 2)
