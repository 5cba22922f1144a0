"""Write training data for people who train elsewhere: Parquet files with one row per candidate."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from models.atomic_directory import settled, written_whole
from models.errors import ArtifactError, FeatureMismatch
from models.features.sent import FIRST_UNKNOWN_ROW
from models.training.vector_data import SPLITS, VectorData, VectorLists
from models.vectors import VectorSpec

MANIFEST = "vectors.yaml"
KEYS = ("request", "item", "label")
"""The columns before the features: the number of the list, the item's id, and its relevance."""


def write_vectors(
    root: Path,
    data: VectorData,
    spec: VectorSpec,
    names: Sequence[str],
    progress: Callable[[str, int, int], None],
) -> dict[str, int]:
    """Write ``train.parquet``, ``valid.parquet`` and ``vectors.yaml`` completely or not at all.

    Args:
        root: the folder to write. An earlier export there is replaced.
        data: the splits.
        spec: the vector, for the manifest.
        names: the column of each number.
        progress: called with the split, its written lists, and all its lists.

    Returns:
        The number of lists by split.

    Raises:
        ArtifactError: there is another folder or file at ``root``, or the data cannot be used.
        TrainingError: a label cannot be used.
    """
    refuse_other_folder(root)
    fields = [pa.field("request", pa.int64()), pa.field("item", pa.string()), pa.field("label", pa.float32())]
    schema = pa.schema([*fields, *(pa.field(name, pa.float32()) for name in names)])
    lists: dict[str, int] = {}
    with written_whole(root) as staging:
        for split in SPLITS:
            with pq.ParquetWriter(staging / f"{split}.parquet", schema) as writer:
                for part in data.lists(split):
                    writer.write_table(_table(part, data, schema))
                    lists[split] = part.first + len(part.sizes)
                    progress(split, lists[split], part.total)
        manifest: dict[str, Any] = spec.model_dump(mode="json")
        manifest = {**manifest, "feature_hash": data.view.features.content_hash, "lists": lists}
        (staging / MANIFEST).write_text(yaml.safe_dump(manifest, sort_keys=False))
    return lists


def refuse_other_folder(root: Path) -> None:
    """Check that nothing but an earlier export would be replaced.

    Raises:
        ArtifactError: there is another folder or file.
    """
    if root.is_dir() and (not any(root.iterdir()) or (root / MANIFEST).is_file()):
        return
    if root.exists() or root.is_symlink():
        raise ArtifactError(f"{root}: exists and is no export of vectors; name a new folder")


def read_manifest(root: Path, *, feature_hash: str) -> VectorSpec:
    """Return the vector of an export.

    Raises:
        ArtifactError: there is no export, or its manifest cannot be read.
        FeatureMismatch: it was exported with other feature definitions.
    """
    path = settled(root) / MANIFEST
    try:
        document = yaml.load(path.read_text(), yaml.CSafeLoader)
        exported, spec = (
            str(document["feature_hash"]),
            VectorSpec(features=document["features"], missing=document["missing"]),
        )
    except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise ArtifactError(
            f"{path}: cannot be read: {error}; name a folder that rankway features export wrote"
        ) from error
    if exported != feature_hash:
        raise FeatureMismatch(
            f"{root}: exported with feature hash {exported}, but this pipeline has {feature_hash}; export the data "
            f"and train again"
        )
    return spec


def _table(part: VectorLists, data: VectorData, schema: pa.Schema) -> pa.Table:
    request = np.repeat(np.arange(part.first, part.first + len(part.sizes)), part.sizes)
    columns = [
        pa.array(request),
        pa.array(_item_ids(part, data), pa.string()),
        pa.array(part.labels),
        *(pa.array(np.ascontiguousarray(column)) for column in part.vectors.T),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _item_ids(part: VectorLists, data: VectorData) -> list[str]:
    ids, sent = data.view.catalogue.ids, part.sent
    if sent is None:
        return [ids[row] for row in part.rows]
    return [ids[row] if row < FIRST_UNKNOWN_ROW else sent.id_of(row) for row in part.rows.tolist()]
