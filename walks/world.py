"""Where a built world lies, and whether it is still the one its inputs give. Imports nothing heavy."""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.home import home_directory
from walks.presets import PRESETS, PresetName, WorldConfig
from walks.sources import MAP, WEATHER, locate, sha256

MANIFEST = "build.json"
SPLITS = ("train", "valid")

Progress = Callable[[str, int], None]
"""Told each stage as it begins, and how many there are."""

_REPOSITORY = Path(__file__).resolve().parent.parent
_CODE = ("walks/*.py", "models/features/*.py", "models/impressions.py", "services/stores/lmdb.py")


@dataclass(frozen=True)
class World:
    """The folders of one built world."""

    root: Path

    @property
    def catalogue(self) -> Path:
        """The routes, for `models.features.catalogue.Catalogue.open`."""
        return self.root / "catalogue"

    @property
    def users(self) -> Path:
        """The LMDB feature store of the users, as they stand after the last simulated day."""
        return self.root / "users"

    @property
    def definitions(self) -> Path:
        """The feature definitions, for `services.features.load_definitions`."""
        return self.root / "features.yaml"

    @property
    def manifest(self) -> Path:
        """Counts, seconds, inputs and attribution, as JSON."""
        return self.root / MANIFEST

    def impressions(self, split: str) -> Path:
        """The shown lists of `train` or `valid`."""
        return self.root / "impressions" / split


def data_home(home: Path | None = None) -> Path:
    """The data home: as given, else the one of `services.home`."""
    return home if home is not None else home_directory()


def world_at(preset: PresetName, home: Path | None = None) -> World:
    """The world of a preset in a data home, whether built or not."""
    return World(data_home(home) / "walks" / preset)


@dataclass(frozen=True)
class Inputs:
    """What a world is made from."""

    map: Path
    weather: Path
    config: WorldConfig

    def stamp(self) -> str:
        """16 hex digits over the data files, the config and the code that makes and writes a world."""
        parts = [sha256(self.map), sha256(self.weather), self.config.model_dump_json()]
        parts += [sha256(path) for pattern in _CODE for path in sorted(_REPOSITORY.glob(pattern))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def inputs_of(preset: PresetName, home: Path | None = None) -> Inputs:
    """Find the data files. Raises MissingDataError with the remedy."""
    wheels = data_home(home) / "data-wheels"
    return Inputs(locate(MAP, wheels), locate(WEATHER, wheels), PRESETS[preset])


def read_manifest(world: World) -> dict[str, Any] | None:
    """The manifest of a built world, None where there is none or it cannot be read."""
    try:
        loaded = json.loads(world.manifest.read_text())
    except (OSError, ValueError):
        return None
    return loaded if isinstance(loaded, dict) else None


def ensure_world(
    preset: PresetName,
    home: Path | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[World, dict[str, Any], bool]:
    """Give the world, its manifest, and whether it was built now: one of the same inputs is left alone.

    A second process that wants the same world waits for the first and finds it built.

    Raises:
        WalksError: a data file is missing or no good; a world that was there is untouched.
    """
    world, inputs = world_at(preset, home), inputs_of(preset, home)
    stamp = inputs.stamp()
    known = _current(world, stamp)
    if known is not None and not force:
        return world, known, False
    from walks.build import build_world  # here, as it loads the map reader and scipy

    with _alone(world.root.with_name(f".{preset}.lock")):
        known = _current(world, stamp)
        if known is not None and not force:
            return world, known, False
        return world, build_world(inputs, world, preset, progress or (lambda stage, stages: None)), True


def _current(world: World, stamp: str) -> dict[str, Any] | None:
    """The manifest of a whole world with this stamp."""
    parts = (world.catalogue, world.users, world.definitions, *map(world.impressions, SPLITS))
    known = read_manifest(world)
    whole = known is not None and known.get("stamp") == stamp and all(part.exists() for part in parts)
    return known if whole else None


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock; the system frees it when the process ends, however it does."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
