"""Builds a world unless it is up to date, one process at a time."""

from pathlib import Path
from typing import Any

from services.locks import file_lock
from walks.presets import PresetName
from walks.world import SPLITS, Progress, World, inputs_of, read_manifest, world_at


def ensure_world(
    preset: PresetName,
    home: Path | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[World, dict[str, Any], bool]:
    """Return the world, and build it first unless it is up to date.

    If two processes need the same world, the second waits for the first and then uses its result.

    Args:
        preset: size of the world.
        home: the data home, or None for the default.
        force: build even if the world is up to date.
        progress: called with each stage's name and the stage count.

    Returns:
        The world, its manifest, and whether it was built by this call.

    Raises:
        WalksError: a data file is missing or cannot be used. An existing world stays as it was.
    """
    world, inputs = world_at(preset, home), inputs_of(preset, home)
    stamp = inputs.stamp()
    manifest = _current(world, stamp)
    if manifest is not None and not force:
        return world, manifest, False
    from walks.build import build_world  # imported late: it loads the map reader, scipy and ONNX Runtime

    with file_lock(world.root.with_name(f".{preset}.lock")):
        manifest = _current(world, stamp)
        if manifest is not None and not force:
            return world, manifest, False
        return world, build_world(inputs, world, preset, progress or (lambda stage, stages: None)), True


def _current(world: World, stamp: str) -> dict[str, Any] | None:
    """Return the world's manifest if the world is complete and has this stamp, else None."""
    parts = (world.catalogue, world.users, world.overlay, world.news, world.scene, world.definitions)
    manifest = read_manifest(world)
    is_complete = manifest is not None and manifest.get("stamp") == stamp
    is_complete = is_complete and all(part.exists() for part in (*parts, *map(world.impressions, SPLITS)))
    return manifest if is_complete else None
