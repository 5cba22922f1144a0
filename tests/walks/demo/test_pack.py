import shutil
from pathlib import Path

import numpy as np
import yaml

from models.features.overlay import Overlay
from services.config.loading import load_config
from services.deployment.check import Preflight
from services.stores.lmdb import LmdbStore
from walks.data.features import FEATURES
from walks.demo.archive import read_archive
from walks.demo.pack import pack_demo
from walks.demo.unpack import unpack_demo

ROOT = Path(__file__).parents[3]


def home_with_demo(tiny_home: Path, root: Path) -> Path:
    """Return a home in which the tiny world and its models stand for the built demo."""
    shutil.copytree(tiny_home / "walks" / "tiny", root / "walks" / "demo")
    shutil.copytree(tiny_home / "walks" / "models", root / "walks" / "demo" / "models")
    return root


def test_a_packed_world_has_what_serving_reads_and_nothing_else(tiny_home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "world.tar.gz"
    pack_demo(home_with_demo(tiny_home, tmp_path / "built"), archive)
    packed = archive.read_bytes()
    pack_demo(tmp_path / "built", archive)
    assert archive.read_bytes() == packed, "packing again gives the same bytes"

    world, _ = unpack_demo(tmp_path / "home", archive)
    config = load_config(ROOT / "configs" / "demo.yaml")
    assert Preflight(config, tmp_path / "home").faults(opens="all") == []
    folders = {name.partition("/")[0] for name in read_archive(archive)[1]}
    assert folders == {"build.json", "catalogue", "features.yaml", "models", "overlay", "users"}
    users = LmdbStore(world.users)
    assert users.count() == 2 * 100, "a row of each group for each of the tiny world's users"
    users.close()


def test_a_packed_world_keeps_a_week_before_the_present(tiny_home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "world.tar.gz"
    pack_demo(home_with_demo(tiny_home, tmp_path / "built"), archive)
    world, _ = unpack_demo(tmp_path / "home", archive)
    built, packed = (
        Overlay.open(root, FEATURES) for root in (tiny_home / "walks/tiny/overlay", world.overlay)
    )
    assert packed.times_s[-1] == built.times_s[-1]
    assert 8 * 24 <= len(packed.times_s) < len(built.times_s)
    kept = len(packed.times_s)
    np.testing.assert_array_equal(packed.cells["news"], built.cells["news"][-kept:])
    artifact = yaml.safe_load((world.root / "models" / "ranker" / "artifact.yaml").read_text())
    assert "wall_s" not in artifact["lineage"]["training"]
