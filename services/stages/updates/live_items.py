"""Set live item features on disk. Running replicas load them within ``features.refresh_s``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.atomic_directory import settled
from models.features.catalogue import Catalogue, item_key
from models.features.definition import Feature, FeatureSet
from models.features.live import INDEX, LiveItems
from services.errors import ConfigError, NotFound
from services.locks import file_lock
from services.stages.updates.live_folder import LiveFolder


def set_live(
    folder: LiveFolder,
    definitions: FeatureSet,
    catalogue: Catalogue,
    name: str,
    value: float | Sequence[float],
    item_ids: Sequence[str],
) -> None:
    """Set live feature ``name`` for the items, and leave other items unchanged. A second writer waits for the first.

    Raises:
        ConfigError: the folder is not configured or cannot be written, the feature does not exist, its type differs
            from the value's, or features that were set before are missing.
        NotFound: the catalogue does not have an item.
        ArtifactError: the folder cannot be used.
    """
    if folder.path is None:
        raise ConfigError(
            f"pipeline {folder.pipeline} has no folder of live item features; add one",
            field="features.live",
        )
    # Pipelines may share a folder through a link. Write to the folder itself, so that the link stays.
    root = folder.path.resolve()
    keys = _keys(catalogue, item_ids)
    exact = _in_dtype(definitions, name, value)
    if root.exists() and not root.is_dir():
        raise ConfigError(
            f"{root} is a file, but live item features need a folder; remove the file, or name a folder",
            field="features.live",
        )
    try:
        with file_lock(root.with_name(f".{root.name}.lock")):
            folder.refuse_lost(definitions)
            current = settled(root)
            live = (
                LiveItems.open(current, definitions)
                if (current / INDEX).is_file()
                else LiveItems.none(definitions)
            )
            live.setting(definitions, name, keys, exact).write(root, definitions)
            folder.leave_mark()
    except (
        OSError
    ) as error:  # the folder is replaced as a whole or not at all, so the old features are still there
        raise ConfigError(
            f"{root} cannot be written ({error}); free space, or grant write permission",
            field="features.live",
        ) from error


def _in_dtype(features: FeatureSet, name: str, value: float | Sequence[float]) -> NDArray[np.generic]:
    """Return the value in the feature's dtype."""
    by_name: dict[str, Feature] = {feature.name: feature for feature in features.supplied("live")}
    if name not in by_name:
        raise ConfigError(
            f"live.{name}: not a live feature; the live features are: {', '.join(by_name) or 'none'}"
        )
    feature, numbers = by_name[name], np.asarray(value, dtype=np.float64)
    kind = np.dtype(feature.dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    fits = numbers.shape == feature.shape and bool(((numbers >= limits.min) & (numbers <= limits.max)).all())
    if not fits or (kind.kind in "iu" and (numbers % 1 != 0).any()):
        raise ConfigError(
            f"live.{name}: expected {feature.dtype} of shape {feature.shape}, got {value}; send a value of that type"
        )
    return numbers.astype(kind)


def _keys(catalogue: Catalogue, item_ids: Sequence[str]) -> NDArray[np.int64]:
    unknown = [item_id for item_id in item_ids if item_id not in catalogue.row_by_id]
    if unknown:
        raise NotFound(
            f"items: not in catalogue {catalogue.manifest.name}, got {', '.join(unknown[:5])}; name items of "
            f"the catalogue"
        )
    return np.array([item_key(item_id) for item_id in item_ids], dtype=np.int64)
