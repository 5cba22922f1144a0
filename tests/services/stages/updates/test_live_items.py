"""``rankway features set``: live features of items, from the command line to an engine's answers."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import root
from models.features.catalogue import Catalogue
from models.features.live import LiveItems
from services.config.loading import load_config
from services.ingress.schema import RankRequest
from services.units.ingress_replica import build_engine
from tests.conftest import ROOT
from tests.overlaid import FEATURES, make_overlaid_pipeline

LIMIT_S = 30.0


@pytest.fixture(name="config")
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    return make_overlaid_pipeline(tmp_path)


def features_set(*arguments: str) -> Result:
    words = ["features", "set", *arguments]
    return CliRunner().invoke(root(words), words)


def known(home: Path) -> dict[str, float]:
    live, ids = LiveItems.open(home / "live", FEATURES), Catalogue.open(home / "catalogue")
    rows = ids.rows_of_keys(live.keys)
    return {ids.ids[row]: value for row, value in zip(rows, live.values["bonus"].tolist(), strict=True)}


def test_answer_follows_features_set_while_the_engine_runs(tmp_path: Path, config: Path) -> None:
    request = RankRequest(user_id="u", candidates=["item-1", "item-2"])

    async def run() -> None:
        engine = build_engine(load_config(config), tmp_path, replica="test")
        try:

            async def scores() -> dict[str, float]:
                return {item.id: item.score for item in (await engine.rank(request, "1")).items}

            before = await scores()
            result = await asyncio.to_thread(features_set, str(config), "live.bonus=64", "item-2")
            assert result.exit_code == 0, result.output
            async with asyncio.timeout(LIMIT_S):
                while (after := await scores()) == before:
                    await asyncio.sleep(0.01)
            assert after == {"item-1": before["item-1"], "item-2": before["item-2"] + 64.0}
        finally:
            engine.close()

    asyncio.run(run())


def test_concurrent_writers_lose_no_update(tmp_path: Path, config: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "features", "set", str(config)]
    writers = [subprocess.Popen([*command, f"live.bonus={i + 1}", f"item-{i}"], cwd=ROOT) for i in range(4)]
    assert [writer.wait(LIMIT_S * 2) for writer in writers] == [0] * 4
    assert known(tmp_path) == {f"item-{i}": float(i + 1) for i in range(4)}


def test_recovers_the_folder_that_a_killed_writer_moved_aside(tmp_path: Path, config: Path) -> None:
    assert features_set(str(config), "live.bonus=1", "item-1").exit_code == 0
    (tmp_path / "live").rename(
        tmp_path / "live.replaced"
    )  # as if killed between the two renames of a replacement
    assert features_set(str(config), "live.bonus=2", "item-2").exit_code == 0
    assert known(tmp_path) == {"item-1": 1.0, "item-2": 2.0}


@pytest.mark.parametrize(
    ("setting", "item", "message"),
    [
        ("live.bonus=much", "item-1", "expected live.NAME=VALUE"),
        ("live.bonus", "item-1", "expected live.NAME=VALUE"),
        ("live.malus=1", "item-1", "live.malus: not a live feature; the live features are: bonus"),
        ("live.bonus=1,2", "item-1", "live.bonus: expected float32 of shape ()"),
        ("live.bonus=nan", "item-1", "live.bonus: expected float32 of shape ()"),
        ("live.bonus=1e60", "item-1", "live.bonus: expected float32 of shape ()"),
        ("live.bonus=1", "item-x", "items: not in catalogue overlaid, got item-x"),
    ],
)
def test_rejects_invalid_setting_and_writes_nothing(
    tmp_path: Path, config: Path, setting: str, item: str, message: str
) -> None:
    result = features_set(str(config), setting, "item-0", item)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "live").exists()


def test_error_names_the_field_to_add_if_no_folder_is_configured(config: Path) -> None:
    document = yaml.safe_load(config.read_text())
    del document["features"]["live"]
    config.write_text(yaml.safe_dump(document))
    result = features_set(str(config), "live.bonus=1", "item-0")
    assert result.exit_code == 2
    assert "features.live: pipeline overlaid has no folder of live item features; add one" in result.output


@pytest.mark.parametrize(
    ("in_the_way", "message"),
    [("live", "is a file, but live item features need a folder"), (".live.lock", "cannot be written")],
)
def test_reports_a_folder_that_cannot_be_written(
    tmp_path: Path, config: Path, in_the_way: str, message: str
) -> None:
    path = tmp_path / in_the_way
    if in_the_way == "live":
        path.write_text("")
    else:
        path.mkdir()
    result = features_set(str(config), "live.bonus=1", "item-0")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "live").is_dir()
