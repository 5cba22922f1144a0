import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from walks.presets import PRESETS
from walks.world import Inputs, World, data_home, ensure_world, inputs_of, read_manifest, world_at


def test_the_home_is_as_given_or_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path / "env"))
    assert data_home() == tmp_path / "env"
    assert data_home(tmp_path / "given") == tmp_path / "given"
    assert world_at("tiny").root == tmp_path / "env" / "walks" / "tiny"


def test_a_built_world_is_left_alone_until_forced(world: World, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(world.root, world_at("tiny", home).root)
    copied = world_at("tiny", home)
    _, manifest, built = ensure_world("tiny", home)
    assert not built
    assert manifest == read_manifest(world)
    copied.manifest.write_text(copied.manifest.read_text().replace(manifest["stamp"], "0" * 16))
    _, manifest, built = ensure_world("tiny", home)
    assert built
    assert manifest["stamp"] == inputs_of("tiny").stamp()


def test_a_world_that_lost_a_part_is_built_again(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root, world_at("tiny", tmp_path).root)
    shutil.rmtree(world_at("tiny", tmp_path).users)
    restored, _, built = ensure_world("tiny", tmp_path)
    assert built
    assert restored.users.is_dir()


def test_two_processes_build_a_world_once(tmp_path: Path) -> None:
    command = (
        "from walks.world import ensure_world; import sys; sys.exit(0 if ensure_world('tiny')[2] else 3)"
    )
    environment = {**os.environ, "RANKWAY_HOME": str(tmp_path)}
    root = Path(__file__).parents[2]
    both = [subprocess.Popen([sys.executable, "-c", command], env=environment, cwd=root) for _ in range(2)]
    assert sorted(process.wait(timeout=120) for process in both) == [0, 3]
    left = {path.name for path in (tmp_path / "walks").iterdir()}
    assert left == {"tiny", ".tiny.lock"}


def test_the_stamp_changes_with_config_and_map(tmp_path: Path) -> None:
    inputs = inputs_of("tiny")
    other_map = tmp_path / "other.osm.pbf"
    other_map.write_bytes(b"another")
    stamps = {
        inputs.stamp(),
        Inputs(inputs.map, inputs.weather, inputs.config.model_copy(update={"seed": 1})).stamp(),
        Inputs(other_map, inputs.weather, inputs.config).stamp(),
        Inputs(inputs.map, other_map, inputs.config).stamp(),
    }
    assert len(stamps) == 4
    assert inputs.stamp() == inputs_of("tiny").stamp()


def test_a_damaged_manifest_counts_as_none(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert read_manifest(world) is None
    world.manifest.write_text("{half")
    assert read_manifest(world) is None
    world.manifest.write_text("[]")
    assert read_manifest(world) is None


def test_the_full_preset_has_the_routes_promised() -> None:
    assert PRESETS["full"].routes >= 5000
