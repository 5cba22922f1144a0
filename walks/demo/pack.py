"""Makes the demo's archive from a world and models that were built in a data home: `make demo-world`.

The archive has only the data that serving reads: the routes, some of the users, the weather and the news of two weeks,
and the models. It has no training data and no simulation state.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

from models.artifact import MANIFEST as ARTIFACT
from models.features.definition import FeatureSet
from models.features.overlay import Overlay
from models.features.rows import row_key
from services.stages.features import load_definitions
from services.stores.lmdb import LmdbStore
from walks.data.users import user_id
from walks.demo.archive import ARCHIVE, write_archive
from walks.simulation.weather import DAY_S
from walks.world import World, world_at

USERS = 200
_DAYS_BEFORE = 7
"""Days of weather and news before the simulated present. The days after it are kept up to the end of the series."""


def pack_demo(home: Path, archive: Path = ARCHIVE) -> None:
    """Write the archive from `<home>/walks/demo`, where `rankway walks build` and `rankway train` left the demo.

    Raises:
        RankwayError: a part is missing or cannot be read.
    """
    built = world_at("demo", home)
    features = load_definitions(built.definitions)
    with tempfile.TemporaryDirectory(prefix="rankway-demo-") as folder:
        packed = World(Path(folder))
        shutil.copytree(built.catalogue, packed.catalogue)
        shutil.copyfile(built.definitions, packed.definitions)
        _write_manifest(built, packed)
        _write_overlay(built, packed, features)
        _write_users(built, packed)
        for root in sorted((built.root / "models").glob(f"*/{ARTIFACT}")):
            _copy_model(root.parent, packed.root / "models" / root.parent.name)
        write_archive(packed.root, archive)


def _write_manifest(built: World, packed: World) -> None:
    manifest = json.loads(built.manifest.read_text())
    del manifest["seconds"]  # they differ in every build
    manifest["shipped_users"] = USERS
    packed.manifest.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def _write_overlay(built: World, packed: World, features: FeatureSet) -> None:
    overlay = Overlay.open(built.overlay, features)
    present_s = _present_s(features)
    kept = overlay.times_s >= present_s - _DAYS_BEFORE * DAY_S
    Overlay(
        overlay.times_s[kept],
        {name: values[kept] for name, values in overlay.globals.items()},
        {name: values[kept] for name, values in overlay.cells.items()},
    ).write(packed.overlay, features)


def _present_s(features: FeatureSet) -> float:
    """Return the time of a request that names none: the simulated present."""
    return next(float(each.default_value()) for each in features.features if each.column == "context.now_s")


def _write_users(built: World, packed: World) -> None:
    keys = [row_key(group, user_id(user).encode()) for group in ("realtime", "user") for user in range(USERS)]
    source, store = LmdbStore(built.users), LmdbStore(packed.users, readonly=False)
    try:
        rows = source.read_many(keys).rows
        store.write_many((key, row) for key, row in zip(keys, rows, strict=True) if row is not None)
    finally:
        source.close()
        store.close()
    (packed.users / "lock.mdb").unlink()  # belongs to the processes that have the store open


def _copy_model(root: Path, target: Path) -> None:
    shutil.copytree(root, target)
    manifest = yaml.safe_load((target / ARTIFACT).read_text())
    manifest["lineage"].get("training", {}).pop("wall_s", None)  # differs in every training
    (target / ARTIFACT).write_text(yaml.safe_dump(manifest, sort_keys=False))


if __name__ == "__main__":
    pack_demo(Path(sys.argv[1]))
    sys.stdout.write(f"{ARCHIVE}: {ARCHIVE.stat().st_size} bytes\n")
