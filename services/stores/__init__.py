"""Feature stores; ``open_store`` and ``open_writer`` are the factories."""

from pathlib import Path

from services.stores.base import FeatureStore, LmdbConfig, StoreConfig, StoreWriter


def open_store(config: StoreConfig, home: Path, readers: int = 1) -> FeatureStore:
    """Open the configured store for reading, by at most ``readers`` threads at once.

    Raises:
        ConfigError: an embedded one is missing or cannot be opened; a secret or certificate is missing.
    """
    if isinstance(config, LmdbConfig):
        from services.stores.lmdb import LmdbStore

        return LmdbStore(home / config.path)
    from services.stores.redis import RedisStore

    return RedisStore(config, home, readers)


def open_writer(config: StoreConfig, home: Path) -> StoreWriter:
    """Open the configured store for writing.

    Raises:
        ConfigError: as ``open_store``. StoreFailed: a server cannot be reached.
    """
    if isinstance(config, LmdbConfig):
        from services.stores.lmdb_writer import LmdbWriter

        return LmdbWriter(home / config.path)
    from services.stores.redis_writer import RedisWriter

    return RedisWriter(config, home)


def check_store(config: StoreConfig, home: Path) -> None:
    """Look whether the store can be opened; a server need not be there.

    Raises:
        ConfigError: as ``open_store``.
    """
    if isinstance(config, LmdbConfig):
        open_store(config, home).close()
        return
    from services.stores.redis_client import connection_options

    connection_options(config, home)
