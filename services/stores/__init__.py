"""Feature stores; ``open_store`` is the factory."""

from pathlib import Path

from services.stores.base import FeatureStore, StoreConfig


def open_store(config: StoreConfig, home: Path) -> FeatureStore:
    """Open the configured store for reading.

    Raises:
        ConfigError: it is missing or cannot be opened.
    """
    from services.stores.lmdb import LmdbStore

    return LmdbStore(home / config.path)
