"""A staged release has its own definitions. The configuration names its store, overlay and live features."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import root
from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec, row_key
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.deployment.check import check_artifacts
from services.errors import ReleaseError
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest
from services.releases.staged_features import differences, features_of
from services.releases.staging import ReleaseFolder
from services.stages.features import FeaturesConfig
from services.units.ingress_replica import build_engine
from services.units.release_commands import ReleaseCommands
from tests.pipelines import FEATURES, make_pipeline
from tests.services.releasing import stage_shifted
from tests.services.stores.servers import PATIENT, RedisServer, needs_redis, redis_server

USER = "u1"
BIASES = {"first": 100.0, "second": 200.0}


@pytest.fixture(name="servers")
def _servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, RedisServer]]:
    """Two servers with different passwords, and different rows for the same user."""
    with ExitStack() as stack:
        servers = {}
        for name, bias in BIASES.items():
            monkeypatch.setenv(f"PASSWORD_{name.upper()}", name)
            folder = tmp_path / name
            folder.mkdir()
            servers[name] = stack.enter_context(redis_server(folder, "--requirepass", name, password=name))
            row = UserRowCodec(FEATURES).encode({"bias": np.array(bias, dtype=np.float32)})
            with servers[name].client(password=name) as client:
                client.set(b"rankway:" + row_key("user", USER.encode()), row)
        yield servers


def store_in(server: RedisServer, name: str) -> dict[str, Any]:
    password = f"PASSWORD_{name.upper()}"
    return {"kind": "redis", "nodes": [server.node], "password_env": password, **PATIENT}


def configured(home: Path, **features: Any) -> PipelineConfig:
    """Change ``features`` in the pipeline's YAML, and load it."""
    path = home / "pipeline.yaml"
    document = yaml.safe_load(path.read_text())
    document["features"] |= features
    path.write_text(yaml.safe_dump(document))
    return load_config(path)


async def score_of(engine: Engine) -> tuple[float, str | None]:
    request = RankRequest(user_id=USER, candidates=["item-0000"], deadline_ms=20_000)
    answer = await engine.rank(request, "1")
    return answer.items[0].score, answer.degraded


@needs_redis
def test_reads_from_the_store_of_the_configuration_not_of_the_release(
    tmp_path: Path, servers: dict[str, RedisServer]
) -> None:
    make_pipeline(tmp_path)
    before = configured(tmp_path, store=store_in(servers["first"], "first"))
    folder = ReleaseFolder(tmp_path, before.name)
    old = folder.stage(before).name
    folder.history.note_active(old)
    new = stage_shifted(before, tmp_path, 0.25)
    servers["first"].stop()

    async def scenario() -> None:
        engine = build_engine(
            configured(tmp_path, store=store_in(servers["second"], "second")), tmp_path, replica="test"
        )
        commands = ReleaseCommands(engine.live, "test")
        try:
            assert engine.release.name == old
            assert await score_of(engine) == (BIASES["second"], None)
            await commands.activate_release(new)
            assert await score_of(engine) == (BIASES["second"] + 0.25, None)
            await commands.activate_release(old)  # a rollback
            assert (engine.release.name, await score_of(engine)) == (old, (BIASES["second"], None))
        finally:
            engine.close()

    asyncio.run(scenario())


@needs_redis
def test_loads_a_release_that_an_earlier_version_staged(
    tmp_path: Path, servers: dict[str, RedisServer]
) -> None:
    make_pipeline(tmp_path)
    config = configured(tmp_path, store=store_in(servers["first"], "first"))
    folder = ReleaseFolder(tmp_path, config.name)
    name = folder.stage(config).name
    path = folder.root / name / "release.yaml"
    document = yaml.safe_load(path.read_text())
    document["features"] |= {  # all fields, as earlier versions wrote them
        "store": {"kind": "redis", "nodes": ["evil.example:6379"], "password_env": "HOME", "tls": {}},
        "overlay": "old/overlay",
        "live": "old/live",
        "refresh_s": 7.0,
    }
    path.write_text(yaml.safe_dump(document))
    applied = folder.applied(config, name)
    definitions = f"small/releases/{name}/features.yaml"
    assert applied.features == config.features.model_copy(update={"definitions": definitions})
    assert check_artifacts(applied, tmp_path) == []


def test_reports_each_difference_and_the_value_in_use(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    recorded = FeaturesConfig.model_validate(
        {
            "definitions": "features.yaml",
            "store": {"kind": "redis", "nodes": ["old:6379"], "timeout_ms": 5},
            "live": "live",
        }
    )
    present = FeaturesConfig.model_validate(
        {
            "definitions": "features.yaml",
            "store": {"kind": "redis", "nodes": ["new:6379"], "tls": {"ca_file": "ca.pem"}},
        }
    )
    report = "\n".join(differences(recorded, present, tmp_path))
    assert (
        "features.store.nodes: ['new:6379'] in the configuration, ['old:6379'] when the release was staged; "
        "the configuration's value is used"
    ) in report
    assert "features.store.tls.ca_file: 'ca.pem' in the configuration" in report
    assert "features.live: None in the configuration, 'live' when" in report
    assert "timeout_ms" not in report
    assert differences(present, present, tmp_path) == []
    lmdb = FeaturesConfig.model_validate(
        {"definitions": "features.yaml", "store": {"kind": "lmdb", "path": "users"}}
    )
    assert [line.partition(";")[0] for line in differences(lmdb, present, tmp_path)] == [
        "features.store.kind: 'redis' in the configuration, 'lmdb' when the release was staged"
    ]


OTHER_USERS = Feature(name="more", group="user")
OTHER_WEATHER = Feature(name="rain", group="global")


@pytest.mark.parametrize(
    ("added", "recorded_fields"),
    [
        (None, {}),
        (OTHER_USERS, {"store.prefix"}),
        (OTHER_WEATHER, {"overlay"}),
        (Feature(name="closed", group="live", dtype="uint8"), set()),
    ],
    ids=["same definitions", "other rows", "other overlay", "other live features"],
)
def test_reads_from_the_recorded_location_only_if_definitions_differ(
    tmp_path: Path, added: Feature | None, recorded_fields: set[str]
) -> None:
    more = (Feature(name="now_s", group="context", dtype="float64"), *([] if added is None else [added]))
    features = {"old.yaml": FEATURES.features, "new.yaml": (*FEATURES.features, *more)}
    if added is None:
        features["new.yaml"] = FEATURES.features
    for name, definitions in features.items():
        document = FeatureSet(features=definitions).model_dump(mode="json")
        (tmp_path / name).write_text(yaml.safe_dump(document))
    recorded = FeaturesConfig.model_validate(
        {
            "definitions": "old.yaml",
            "store": {"kind": "redis", "nodes": ["old:1"], "prefix": "old:", "password_env": "OLD"},
            "overlay": "old-overlay",
            "live": "old-live",
        }
    )
    present = FeaturesConfig.model_validate(
        {
            "definitions": "new.yaml",
            "store": {"kind": "redis", "nodes": ["new:1"], "prefix": "new:"},
            "overlay": "new-overlay",
            "live": "new-live",
        }
    )
    used = features_of(recorded, present, tmp_path).model_dump()
    expected = present.model_dump() | {"definitions": "old.yaml"}
    if "store.prefix" in recorded_fields:
        expected["store"]["prefix"] = "old:"
    if "overlay" in recorded_fields:
        expected["overlay"] = "old-overlay"
    assert used == expected
    kept_lines = [
        line for line in differences(recorded, present, tmp_path) if "the release's value is used" in line
    ]
    assert {line.partition(":")[0] for line in kept_lines} == {f"features.{name}" for name in recorded_fields}


def test_serves_a_release_without_the_definitions_of_the_configuration(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path))
    folder = ReleaseFolder(tmp_path, config.name)
    name = folder.stage(config).name
    (tmp_path / "features.yaml").unlink()
    applied = folder.applied(config, name)
    assert applied.features.store == config.features.store
    assert check_artifacts(applied, tmp_path) == []


def command(*words: str) -> Result:
    arguments = ["release", *words]
    return CliRunner().invoke(root(arguments), arguments)


def test_activate_warns_if_the_store_differs_from_the_recorded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    path = str(make_pipeline(tmp_path))
    assert command("stage", path).exit_code == 0
    (tmp_path / "users.lmdb").rename(tmp_path / "moved.lmdb")
    configured(tmp_path, store={"kind": "lmdb", "path": "moved.lmdb"})
    result = command("activate", path)
    assert result.exit_code == 0, result.output
    assert "warning: release" in result.output
    assert "features.store.path: 'moved.lmdb' in the configuration, 'users.lmdb' when" in result.output


@pytest.mark.parametrize(
    "name", ["../../elsewhere", "/elsewhere", "..", ".", "", "a/../{name}", "{name}/", "{name}\n", "{name}\0"]
)
def test_a_name_is_never_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    config = load_config(make_pipeline(tmp_path))
    folder = ReleaseFolder(tmp_path, config.name)
    staged = folder.stage(config).name
    shutil.copytree(folder.root / staged, tmp_path / "elsewhere")
    path = name.replace("{name}", staged)
    for call in (folder.read, lambda name: folder.applied(config, name)):
        with pytest.raises(ReleaseError, match="name: must have only letters, digits, - and _, got"):
            call(path)
    result = command("activate", str(tmp_path / "pipeline.yaml"), path)
    assert (result.exit_code, folder.history.active()) == (1, None), result.output
    assert "`rankway release list` shows the names" in result.output
