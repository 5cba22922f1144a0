"""Write a catalogue whose items are all in memory. For more items, see ``catalogue_in_chunks``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from models.atomic_directory import written_whole
from models.errors import ArtifactError
from models.features.catalogue import MANIFEST, CatalogueManifest, item_key
from models.features.definition import FeatureSet
from models.features.transforms import transformed
from models.ragged import offsets_of


def write_catalogue(
    root: Path,
    *,
    name: str,
    version: str,
    features: FeatureSet,
    ids: Sequence[str],
    columns: Mapping[str, NDArray[Any]],
    details: Sequence[bytes] | None = None,
    position_column: str | None = None,
    attribution: str = "",
) -> None:
    """Write a catalogue completely or not at all, with rows in key order, and replace an existing catalogue.

    Derived item features are computed here, so ``columns`` does not need them. Without ``details`` each item has a JSON
    object with its id only.

    Raises:
        ArtifactError: an id occurs twice, or a column is missing or does not have one row per id.
    """
    columns = with_derived(name, features, columns)
    keys = np.array([item_key(item_id) for item_id in ids], dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    if len(np.unique(keys)) != len(keys):
        raise ArtifactError(f"catalogue {name}: item ids repeat; make each id unique")
    for column, values in columns.items():
        if len(values) != len(ids):
            raise ArtifactError(
                f"catalogue {name}: column {column} has {len(values)} rows for {len(ids)} ids; write one row per id"
            )
    with written_whole(root) as staging:
        if details is None:
            details = [json.dumps({"id": item_id}).encode() for item_id in ids]
        blobs = [details[i] for i in order]
        arrays: dict[str, NDArray[Any]] = {column: values[order] for column, values in columns.items()}
        arrays["keys"] = keys[order]
        arrays["ids"] = np.array([ids[i].encode() for i in order], dtype=np.bytes_)
        arrays["details"] = np.frombuffer(b"".join(blobs), dtype=np.uint8)
        arrays["details_offsets"] = offsets_of(np.array([len(blob) for blob in blobs], dtype=np.int64))
        for file_name, values in arrays.items():
            np.save(staging / f"{file_name}.npy", np.ascontiguousarray(values))
        manifest = CatalogueManifest(
            name=name,
            version=version,
            feature_hash=features.content_hash,
            item_count=len(ids),
            columns=tuple(columns),
            position_column=position_column,
            attribution=attribution,
        )
        (staging / MANIFEST).write_text(yaml.safe_dump(manifest.model_dump(mode="json"), sort_keys=False))


def with_derived(
    name: str, features: FeatureSet, columns: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return the columns of a catalogue with its derived item features.

    Raises:
        ArtifactError: a column that a feature is computed from is missing.
    """
    result = dict(columns)
    for feature in features.derived:
        if feature.group == "item" and feature.transform is not None:
            source = feature.transform.of.removeprefix("item.")
            if source not in result:
                raise ArtifactError(
                    f"catalogue {name}: {feature.column} is computed from column {source}, which is missing; add it"
                )
            result[feature.name] = transformed(feature.transform, result[source], None).astype(feature.dtype)
    return result
