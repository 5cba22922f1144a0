"""The features stage reads a batch's stored features in one store round trip.

It then adds the global and cell features, and derived features.

Item features are not read here. The stages that need them gather them from the mapped catalogue by row.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.atomic_directory import settled
from models.documents.faults import fault_lines
from models.documents.reading import read_document
from models.errors import ArtifactError, DocumentError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.row_decoder import Row
from models.features.rows import KeyedGroup, row_key
from models.features.view import FeatureView
from models.ragged import RaggedBatch
from services.errors import ConfigError
from services.stages.updates.refresh import WatchedFolder, watched_folders
from services.stores.base import FeatureStore
from services.stores.kinds.registry import StoreConfig
from services.telemetry.features import RowMetrics

MISSED = "features"
"""The ``degraded`` reason of an answer that was made with default features."""

logger = logging.getLogger("ray.serve")
_LOGGED_EVERY = 1000


class FeaturesConfig(BaseModel):
    """The feature definitions, and where features are stored. Paths are relative to the home.

    Attributes:
        definitions: the feature set's file.
        store: the feature store. Without it, every user has the defaults.
        overlay: the overlay's folder.
        live: the folder for live item features. It may be created later.
        refresh_s: seconds between two checks of both folders.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    definitions: str
    store: StoreConfig | None = None
    overlay: str | None = None
    live: str | None = None
    refresh_s: float = Field(default=1.0, gt=0, le=86_400)


def load_definitions(path: Path) -> FeatureSet:
    """Read a feature set.

    Raises:
        ConfigError: the file is missing or is not a feature set.
    """
    path = settled(path)
    if not path.is_file():
        raise ConfigError(
            f"no feature definitions at {path}; build the data set first", field="features.definitions"
        )
    try:
        data, text = read_document(path, closed=False)
    except DocumentError as error:
        raise ConfigError(str(error), field="features.definitions") from error
    try:
        return FeatureSet.model_validate(data)
    except ValidationError as error:
        faults = fault_lines(error, data, FeatureSet, str(path), text)
        raise ConfigError("\n".join(faults), field="features.definitions") from error


def open_view(config: FeaturesConfig, features: FeatureSet, catalogue: Catalogue, home: Path) -> FeatureView:
    """Return the view over the catalogue, with the configured overlay and live item features as they are now.

    Raises:
        ConfigError: a folder cannot be used, or there are cell features but the catalogue has no cells.
    """
    return open_watched_view(config, features, catalogue, home)[0]


def refuse_other_features(catalogue: Catalogue, definitions: FeatureSet) -> None:
    """Check that the catalogue was built with these definitions.

    Raises:
        ConfigError: the catalogue was built with other definitions.
    """
    actual, expected = catalogue.manifest.feature_hash, definitions.content_hash
    if actual != expected:
        raise ConfigError(
            f"expected the feature hash of features.definitions, {expected}, got {actual}; rebuild the catalogue and "
            f"the definitions together",
            field="catalogue",
        )


def open_watched_view(
    config: FeaturesConfig, features: FeatureSet, catalogue: Catalogue, home: Path
) -> tuple[FeatureView, list[WatchedFolder]]:
    """Return the view as ``open_view`` does, and the folders behind the view, so that they can be watched."""
    try:
        view = FeatureView(features, catalogue)
    except ArtifactError as error:
        raise ConfigError(str(error), field="catalogue") from error
    overlay, live = (None if path is None else home / path for path in (config.overlay, config.live))
    folders = watched_folders(view, overlay, live)
    for folder in folders:
        if folder.name == "live" and folder.identity is None:
            continue  # no live item feature has been set yet
        try:
            folder.open()
        except ArtifactError as error:
            raise ConfigError(str(error), field=f"features.{folder.name}") from error
    return view, folders


class FeaturesStage:
    """Adds the columns of all feature groups except item. An unknown user gets the defaults.

    A user also gets the defaults if the store could not read the row, or if the row cannot be decoded because it is
    damaged or was written with other definitions. Then only that user's request is marked as missing "features".
    Undecodable rows are counted. The first of them is logged, and then about every 1000th.
    """

    name = "features"

    def __init__(
        self, view: FeatureView, store: FeatureStore | None, metrics: RowMetrics | None = None
    ) -> None:
        """Use the features in ``view``. Without a store, every user has the defaults."""
        self.view = view
        self.store = store
        self._metrics = metrics
        self._groups: list[KeyedGroup] = [
            group for group, codec in view.codecs.items() if codec.stores_anything
        ]
        self._unreadable = 0

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Read the features for the users in ``batch.user_keys``."""
        users, groups = batch.user_keys, self._groups
        if self.store is None or not groups:
            return self.view.of_unknown_users(batch)
        count = len(users)
        reading = self.store.read_many([row_key(group, user) for group in groups for user in users])
        rows = {group: reading.rows[i * count : (i + 1) * count] for i, group in enumerate(groups)}
        if None in rows[groups[0]]:
            batch = replace(batch, unknown_users=_unknown(rows, reading.unread, count))
        decoded, unreadable = self.view.decoded(batch, rows)
        missed = [index % count for index in reading.unread]
        for group, indices in unreadable.items():
            missed += indices
            row = rows[group][indices[0]]
            self._report(group, len(indices), users[indices[0]], b"" if row is None else row)
        return decoded.missing(MISSED, missed) if missed else decoded

    @property
    def waits(self) -> bool:
        """Whether reading waits for another process."""
        return self.store is not None and self.store.waits

    def close(self) -> None:
        """Close the store."""
        if self.store is not None:
            self.store.close()

    def _report(self, group: KeyedGroup, count: int, user: bytes, row: bytes) -> None:
        if self._metrics is not None:
            self._metrics.unreadable(group, count)
        if (
            self._unreadable // _LOGGED_EVERY != (self._unreadable + count) // _LOGGED_EVERY
            or not self._unreadable
        ):
            reason = self.view.codecs[group].refusal(row)
            logger.error(
                "user %r gets default features: %s (%d unreadable rows before)",
                user[:80],
                reason,
                self._unreadable,
            )
        self._unreadable += count


def _unknown(
    rows: Mapping[KeyedGroup, Sequence[Row | None]], unread: Sequence[int], count: int
) -> NDArray[np.bool_]:
    """Return the users without a row in any group, bool (B,). A user whose row could not be read may be known."""
    missing = [all(row is None for row in own) for own in zip(*rows.values(), strict=True)]
    unknown = np.array(missing, dtype=np.bool_)
    unknown[[index % count for index in unread]] = False
    return unknown
