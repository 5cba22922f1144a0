"""A guard around another package's store, so that the store's errors never fail a batch."""

import logging
from collections.abc import Sequence

from autoscale.registries.errors import PLUGIN_ERRORS
from services.stores.base import FeatureStore, Reading

logger = logging.getLogger("ray.serve")
_LOGGED_EVERY = 1000


class GuardedStore:
    """Wraps a store, and reports all keys as unread if the store raises or returns an invalid reading.

    The users in such a batch get default features.
    """

    def __init__(self, store: FeatureStore) -> None:
        """Wrap ``store``. ``close`` closes it."""
        self._store = store
        self._failures = 0

    @property
    def waits(self) -> bool:
        """Whether a read waits for another process."""
        return self._store.waits

    @property
    def left_alone(self) -> int:
        """The number of servers that are skipped because they have failed."""
        return self._store.left_alone

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        """Read all keys in one round trip."""
        try:
            reading = self._store.read_many(keys)
            if len(reading.rows) == len(keys) and all(0 <= index < len(keys) for index in reading.unread):
                return reading
            fault = f"the store returned an invalid result with {len(reading.rows)} rows for {len(keys)} keys"
        except PLUGIN_ERRORS as error:
            fault = f"{type(error).__name__}: {error}"
        if self._failures % _LOGGED_EVERY == 0:
            logger.error(
                "feature store: %s; these users get default features (%d earlier failures)",
                fault,
                self._failures,
            )
        self._failures += 1
        return Reading([None] * len(keys), range(len(keys)))

    def close(self) -> None:
        """Close the store."""
        self._store.close()
