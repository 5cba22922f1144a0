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
from models.datasets.config import EventsConfig
from models.datasets.events import EventLog, cut, moments_of
from models.datasets.features import features_of
from models.datasets.files.problems import BadRows
from models.datasets.files.progress import Progress, silent
from models.datasets.item_columns import TIMELINES, columns_of, first_choices
from models.datasets.unchosen import unchosen_columns
from models.datasets.users import write_users
from models.datasets.write_moments import write_moments
from models.datasets.write_shown import write_shown_lists
from models.features.catalogue import item_key
from models.features.catalogue_writer import write_catalogue
from models.features.timelines import write_timelines

SPLITS = ("train", "valid", "test")


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
    def timelines(self) -> Path:
        """Folder with the item columns as of earlier times, for training."""
        return self.root / "timelines"

    @property
    def users(self) -> Path:
        """Parquet file with the features of each user as they are after the last event, for the feature store."""
        return self.root / "users.parquet"

    @property
    def skipped(self) -> Path:
        """Text file with the bad rows that were skipped."""
        return self.root / "skipped.txt"

    @property
    def segments(self) -> Path:
        """Folder beside the data, with the events of the files as they were read. It can be deleted at any time."""
        return self.root.with_name(f"{self.root.name}.segments")

    @property
    def manifest(self) -> Path:
        """JSON file with counts, split times and licence."""
        return self.root / "build.json"


def write_event_data(
    log: EventLog,
    config: EventsConfig,
    data: EventData,
    stamp: str = "",
    bad: BadRows | None = None,
    progress: Progress = silent,
) -> None:
    """Write the data set completely or not at all.

    Raises:
        ArtifactError: too few lists are left in a split of the user's files.
    """
    features = features_of(log, config.history)
    keys = np.array([item_key(item) for item in log.item_ids], dtype=np.int64)
    if config.has_lists:
        cuts, moments = cut(log, config.train_share, config.valid_share), moments_of(log)
        parts, choices = cuts.parts(moments.at_s), first_choices(log)
        columns = {**columns_of(log, choices, cuts.valid_s), **log.item_columns}
    else:
        columns = unchosen_columns(log)
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
            details=_details(log) if log.item_texts else None,
            position_column=log.position,
            attribution=log.licence,
        )
        if config.has_lists:
            write_timelines(staging.timelines, TIMELINES, keys=keys, item=choices.item, at_s=choices.at_s)
        counts: dict[str, Any] = {}
        for split in SPLITS if config.has_lists else ():
            folder = staging.impressions / split
            if log.shown is not None:
                period = cuts.parts(log.shown.at_s)[split]
                counts[split] = write_shown_lists(
                    folder, log, log.shown, period, keys, config, features.content_hash, progress
                )
                continue
            counts[split] = {
                "events": int(cuts.parts(log.at_s)[split].sum()),
                **write_moments(
                    folder, log, moments, parts[split], keys, config, features.content_hash, progress
                ),
            }
        if log.is_served:
            write_users(staging.users, log, keys, config.history, progress)
        manifest = {
            "stamp": stamp,
            "set": log.name,
            "licence": log.licence,
            **({"valid_from_s": cuts.valid_s, "test_from_s": cuts.test_s} if config.has_lists else {}),
            "items": len(log.item_ids),
            "users": len(log.user_ids) or len(np.unique(log.user)),
            "events": len(log),
            **({} if log.shown is None else {"shown": len(log.shown)}),
            **counts,
        }
        if bad is not None:
            manifest |= {"skipped": dict(bad.counts), "notes": bad.notes}
            bad.write(staging.skipped)
        if log.slots:
            manifest["slots"] = {name: list(values) for name, values in log.slots.items()}
        staging.manifest.write_text(json.dumps(manifest, indent=2) + "\n")


def _details(log: EventLog) -> list[bytes]:
    """Return each item's details: its id and its texts."""
    texts = [
        dict(zip(log.item_texts, row, strict=True)) for row in zip(*log.item_texts.values(), strict=True)
    ]
    return [
        json.dumps({"id": item, "properties": {k: v for k, v in shown.items() if v is not None}}).encode()
        for item, shown in zip(log.item_ids, texts, strict=True)
    ]


def _version(columns: dict[str, NDArray[Any]]) -> str:
    return hashlib.sha256(b"".join(values.tobytes() for values in columns.values())).hexdigest()[:12]
