"""The features stage: all user features of a batch in one store round trip.

Item features are not read here: whoever needs them gathers them from the mapped catalogue by row.
"""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from models.features.definition import FeatureSet
from models.features.rows import UserRowCodec
from models.ragged import RaggedBatch
from services.errors import ConfigError
from services.stores.base import FeatureStore, StoreConfig

MISSED = "features"
"""What an answer that was made with default features says."""


class FeaturesConfig(BaseModel):
    """The feature definitions and where user features are kept; paths are relative to the home."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    definitions: str
    store: StoreConfig | None = None


def load_definitions(path: Path) -> FeatureSet:
    """Read a feature set.

    Raises:
        ConfigError: it is missing or not a feature set.
    """
    if not path.is_file():
        raise ConfigError(
            f"no feature definitions at {path}: build the data set first", field="features.definitions"
        )
    try:
        return FeatureSet.model_validate(yaml.safe_load(path.read_text()))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", field="features.definitions") from error


class FeaturesStage:
    """Adds the columns "user.<name>"; an unknown user gets the defaults.

    So does one whose row the store could not give, and that request is noted as missing "features".
    """

    name = "features"

    def __init__(self, codec: UserRowCodec, store: FeatureStore | None) -> None:
        """Without a store every user has the defaults."""
        self._codec = codec
        self._store = store

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Read the batch's users, whose ids are ``batch.user_keys``."""
        keys = batch.user_keys
        if self._store is None:
            return batch.adding(requests=self._codec.decode([None] * len(keys)))
        reading = self._store.read_many(keys)
        given = batch.adding(requests=self._codec.decode(reading.rows))
        return given.missing(MISSED, reading.unread) if reading.unread else given

    @property
    def waits(self) -> bool:
        """Whether reading waits for another process."""
        return self._store is not None and self._store.waits

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()
