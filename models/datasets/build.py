"""Build a pipeline's training data from an event log: feature definitions, catalogue, and impressions by split.

A moment is the set of items that a user chose at one time. It becomes a list with label 1 for each item. All other
catalogue items are negatives. Training draws some of them, and validation ranks all (``training.over_catalogue``). A
user's first moment has no history and is left out.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from models.atomic_directory import written_whole
from models.code_identity import hash_of_code
from models.datasets import read_events
from models.datasets.config import EventsConfig
from models.datasets.events import EventLog, Moments, cut, moments_of
from models.datasets.features import NUMBER, POPULARITY, features_of, histories
from models.features.catalogue import item_key, write_catalogue
from models.impressions import write_impressions
from models.ragged import RaggedBatch, offsets_of

SPLITS = ("train", "valid", "test")
_MODELS = Path(__file__).resolve().parent.parent
_CODE = ("datasets/*.py", "features/*.py", "impressions.py")


@dataclass(frozen=True)
class EventData:
    """The files and folders of one built data set."""

    root: Path

    @property
    def catalogue(self) -> Path:
        """Catalogue folder."""
        return self.root / "catalogue"

    @property
    def definitions(self) -> Path:
        """Feature definitions file."""
        return self.root / "features.yaml"

    @property
    def impressions(self) -> Path:
        """Impressions folder, with one folder per split, which also has ``user.npy`` (B,) and ``at_s.npy`` (B,)."""
        return self.root / "impressions"

    @property
    def manifest(self) -> Path:
        """JSON file with counts, split times and licence."""
        return self.root / "build.json"


def ensure_event_data(config: EventsConfig, data: EventData) -> bool:
    """Build the data set, unless it exists and config and code are unchanged.

    Returns:
        Whether the data set was built now.

    Raises:
        ArtifactError: the events are not installed or cannot be read. Existing data stays as it is.
    """
    stamp = _stamp(config)
    if data.manifest.is_file() and json.loads(data.manifest.read_text()).get("stamp") == stamp:
        return False
    write_event_data(read_events(config.set), config, data, stamp)
    return True


def write_event_data(log: EventLog, config: EventsConfig, data: EventData, stamp: str = "") -> None:
    """Write the data set completely or not at all."""
    cuts, moments = cut(log, config.train_share, config.valid_share), moments_of(log)
    features = features_of(log, config.history)
    keys = np.array([item_key(item) for item in log.item_ids], dtype=np.int64)
    parts, columns = cuts.parts(moments.at_s), _columns(log, cuts.parts(log.at_s)["train"])
    with written_whole(data.root) as root:
        staging = EventData(root)
        staging.definitions.write_text(yaml.safe_dump(features.model_dump(mode="json"), sort_keys=False))
        write_catalogue(
            staging.catalogue,
            name=log.name,
            version=_version(columns),
            features=features,
            ids=log.item_ids,
            columns=columns,
            details=[json.dumps({"id": item}).encode() for item in log.item_ids],
            attribution=log.licence,
        )
        counts = {}
        for split in SPLITS:
            part = moments.take(parts[split] & (moments.start > moments.first))
            _write_split(staging.impressions / split, log, part, keys, config, features.content_hash)
            counts[split] = {
                "events": int(cuts.parts(log.at_s)[split].sum()),
                "moments": len(part),
                "moments_without_past": int((parts[split] & (moments.start == moments.first)).sum()),
                "users": len(np.unique(part.user)),
            }
        manifest = {
            "stamp": stamp,
            "set": log.name,
            "licence": log.licence,
            "valid_from_s": cuts.valid_s,
            "test_from_s": cuts.test_s,
            "items": len(log.item_ids),
            "users": len(np.unique(log.user)),
            "events": len(log),
            **counts,
        }
        staging.manifest.write_text(json.dumps(manifest, indent=2) + "\n")


def _columns(log: EventLog, training: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return the item columns. Number and popularity use only events from the training period."""
    items = len(log.item_ids)
    pairs = np.unique(log.user[training] * items + log.item[training])
    users = np.bincount(pairs % items, minlength=items)
    number = np.where(users > 0, np.cumsum(users > 0), 0)
    return {
        NUMBER: number.astype(np.int64),
        POPULARITY: np.log1p(users).astype(np.float32),
        **log.item_columns,
    }


def _write_split(
    root: Path,
    log: EventLog,
    moments: Moments,
    keys: NDArray[np.int64],
    config: EventsConfig,
    feature_hash: str,
) -> None:
    moments = moments.take(np.argsort(moments.at_s, kind="stable"))
    lengths = moments.end - moments.start
    offsets = offsets_of(lengths)
    events = np.arange(offsets[-1]) + np.repeat(moments.start - offsets[:-1], lengths)
    chosen = keys[log.item[events]]
    batch = RaggedBatch(
        offsets=offsets,
        rows=np.zeros(len(chosen), dtype=np.int64),
        requests=histories(log, moments, keys, config.history),
    )
    labels = np.ones(len(chosen), dtype=np.float32)
    write_impressions(root, batch, labels, feature_hash=feature_hash, keys=chosen)
    np.save(root / "user.npy", moments.user)
    np.save(root / "at_s.npy", moments.at_s)


def _version(columns: dict[str, NDArray[Any]]) -> str:
    return hashlib.sha256(b"".join(values.tobytes() for values in columns.values())).hexdigest()[:12]


def _stamp(config: EventsConfig) -> str:
    """Return 16 hex digits over the config and the code that reads and writes the data set."""
    code = [path for pattern in _CODE for path in sorted(_MODELS.glob(pattern))]
    return hashlib.sha256(f"{config.model_dump_json()} {hash_of_code(code)}".encode()).hexdigest()[:16]
