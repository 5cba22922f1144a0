import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from walks.ensure import ensure_world
from walks.world import World, inputs_of, read_manifest, world_at


def test_keeps_an_up_to_date_world_unless_forced(world: World, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(world.root, world_at("tiny", home).root)
    copied = world_at("tiny", home)
    _, manifest, built = ensure_world("tiny", home)
    assert not built
    assert manifest == read_manifest(world)
    copied.live.mkdir()
    (copied.live / "live.json").write_text("closed items")
    copied.manifest.write_text(copied.manifest.read_text().replace(manifest["stamp"], "0" * 16))
    _, manifest, built = ensure_world("tiny", home)
    assert built
    assert manifest["stamp"] == inputs_of("tiny").stamp()
    assert (copied.live / "live.json").read_text() == "closed items"


@pytest.mark.parametrize("missing", ["users", "news"])
def test_rebuilds_a_world_with_a_missing_part(world: World, tmp_path: Path, missing: str) -> None:
    shutil.copytree(world.root, world_at("tiny", tmp_path).root)
    part = World.__dict__[missing].fget(world_at("tiny", tmp_path))
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    restored, _, built = ensure_world("tiny", tmp_path)
    assert built
    assert World.__dict__[missing].fget(restored).exists()


def test_two_processes_build_a_world_only_once(tmp_path: Path) -> None:
    command = (
        "from walks.ensure import ensure_world; import sys; sys.exit(0 if ensure_world('tiny')[2] else 3)"
    )
    environment = {**os.environ, "RANKWAY_HOME": str(tmp_path)}
    root = Path(__file__).parents[2]
    both = [subprocess.Popen([sys.executable, "-c", command], env=environment, cwd=root) for _ in range(2)]
    assert sorted(process.wait(timeout=120) for process in both) == [0, 3]
    names = {path.name for path in (tmp_path / "walks").iterdir()}
    assert names == {"tiny", ".tiny.lock"}
