"""Builds a world where there is none of the present inputs, one process at a time."""

from pathlib import Path
from typing import Any

from services.locks import alone
from walks.presets import PresetName
from walks.world import SPLITS, Progress, World, inputs_of, read_manifest, world_at


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
    from walks.build import build_world  # not at the top: it loads the map reader, scipy and ONNX Runtime

    with alone(world.root.with_name(f".{preset}.lock")):
        known = _current(world, stamp)
        if known is not None and not force:
            return world, known, False
        return world, build_world(inputs, world, preset, progress or (lambda stage, stages: None)), True


def _current(world: World, stamp: str) -> dict[str, Any] | None:
    """The manifest of a whole world with this stamp."""
    parts = (world.catalogue, world.users, world.overlay, world.news, world.scene, world.definitions)
    known = read_manifest(world)
    whole = known is not None and known.get("stamp") == stamp
    whole = whole and all(part.exists() for part in (*parts, *map(world.impressions, SPLITS)))
    return known if whole else None
