"""``rankway features load``."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from cli.main import root
from tests.conftest import ROOT
from tests.pipelines import USERS, make_pipeline
from tests.services.stores.servers import RedisServer, needs_redis, redis_server, until


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    return tmp_path


def features_load(*arguments: Path) -> Result:
    words = ["features", "load", *map(str, arguments)]
    return CliRunner().invoke(root(words), words)


def into(server: RedisServer) -> dict[str, Any]:
    return {"features": {"store": {"kind": "redis", "nodes": [server.node]}}}


@needs_redis
def test_loads_users_of_an_embedded_store_into_redis(home: Path) -> None:
    with redis_server(home) as server:
        result = features_load(make_pipeline(home, into(server)), home / "users.lmdb")
        assert result.exit_code == 0, result.output
        assert f"{USERS} rows loaded" in result.output
        assert server.ask("DBSIZE") == USERS


@needs_redis
def test_killed_load_resumes(home: Path) -> None:
    count = 80_000
    users = pa.table({"user_id": [f"u{i}" for i in range(count)], "bias": [1.0] * count})
    pq.write_table(users, home / "users.parquet")
    with redis_server(home) as server:
        config = make_pipeline(home, into(server))
        command = [
            sys.executable,
            "-m",
            "cli.main",
            "features",
            "load",
            str(config),
            str(home / "users.parquet"),
        ]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until((home / ".users.parquet.loading").exists, 60)
        process.kill()
        process.wait(10)
        before = server.ask("DBSIZE")
        assert 0 < before < count
        result = features_load(config, home / "users.parquet")
        assert result.exit_code == 0, result.output
        assert "rows were already loaded by an earlier run" in result.output
        assert server.ask("DBSIZE") == count
        assert not (home / ".users.parquet.loading").exists()


@needs_redis
def test_load_into_an_emptied_server_starts_from_the_beginning(home: Path) -> None:
    config, users = home / "pipeline.yaml", home / "users.parquet"
    pq.write_table(pa.table({"user_id": [f"u{i}" for i in range(20_000)], "bias": [1.0] * 20_000}), users)
    with redis_server(home) as server:
        make_pipeline(home, into(server))
        # There is memory for some parts of the load, but not for all.
        assert server.ask(
            "CONFIG", "SET", "maxmemory", server.client().info("memory")["used_memory"] + 1_500_000
        )
        result = features_load(config, users)
        assert result.exit_code == 1
        assert "raise its maxmemory" in result.output
        assert "Run the command again: the load resumes where it stopped." in result.output
        assert 0 < server.ask("DBSIZE") < 20_000
        server.ask("CONFIG", "SET", "maxmemory", 0)
        server.ask("FLUSHALL")
        result = features_load(config, users)
        assert result.exit_code == 0, result.output
        assert (
            "20000 rows loaded; loaded from the beginning, because the store had lost some of the"
            in result.output
        )
        assert server.ask("DBSIZE") == 20_000


def test_error_for_missing_server_names_the_remedy(home: Path) -> None:
    config = make_pipeline(home, {"features": {"store": {"kind": "redis", "nodes": ["127.0.0.1:1"]}}})
    result = features_load(config, home / "users.lmdb")
    assert result.exit_code == 1
    assert "start it, or correct features.store.nodes" in result.output


def test_exit_status_is_1_for_bad_rows_and_2_without_a_store(home: Path) -> None:
    users = pa.table({"user_id": ["a", "b"], "bias": [1.0, float("nan")]})
    pq.write_table(users, home / "users.parquet")
    result = features_load(make_pipeline(home), home / "users.parquet")
    assert result.exit_code == 1
    assert "row 1: bias: a value does not fit float32" in result.output
    assert "1 rows loaded, 1 refused" in result.output
    config = make_pipeline(home, {"features": {"store": None}})
    assert features_load(config, home / "users.parquet").exit_code == 2
