"""Feature stores. ``open_store`` and ``open_writer`` open the store that a pipeline configures."""

from pathlib import Path

from services.errors import ConfigError, ServiceError
from services.plugins import opening
from services.stores.base import FeatureStore, StoreOptions, StoreWriter
from services.stores.guarded import GuardedStore
from services.stores.kinds.registry import STORES

_FIELD = "features.store"


def open_store(config: StoreOptions, home: Path, readers: int = 1) -> FeatureStore:
    """Open the configured store for reading.

    Args:
        config: the store options.
        home: the folder from which relative paths in the options start.
        readers: the maximum number of threads that read at the same time.

    Raises:
        ConfigError: an embedded store is missing or cannot be opened, or a secret or certificate is missing.
    """
    with opening(STORES, config, _FIELD):
        store: FeatureStore = STORES.for_config(config).open(config, home, readers)
    return store if config.kind in STORES.builtins else GuardedStore(store)


def open_writer(config: StoreOptions, home: Path) -> StoreWriter:
    """Open the configured store for writing.

    Raises:
        ConfigError: as for ``open_store``, or only other programs can write this kind of store.
        StoreFailed: a server cannot be reached.
    """
    with opening(STORES, config, _FIELD):
        kind = STORES.for_config(config)
        if kind.open_writer is None:
            raise ConfigError(
                f"rankway cannot load data into a store of this kind, got {config.kind}; load it with its "
                f"package's tools",
                field=f"{_FIELD}.kind",
            )
        return kind.open_writer(config, home)


def check_store(config: StoreOptions, home: Path) -> None:
    """Check that the store can be opened. A server does not need to run yet.

    Raises:
        ConfigError: as for ``open_store``.
    """
    with opening(STORES, config, _FIELD):
        kind = STORES.for_config(config)
        if kind.check is not None:
            kind.check(config, home)
        else:
            kind.open(config, home, 1).close()


def store_fault(config: StoreOptions, home: Path) -> str | None:
    """Return a text about the server's fault, with a remedy. None if there is no fault, or the store has no server.

    Raises:
        ConfigError: as for ``open_store``.
    """
    with opening(STORES, config, _FIELD):
        kind = STORES.for_config(config)
        return None if kind.fault is None else kind.fault(config, home)


def any_user(config: StoreOptions, home: Path) -> str | None:
    """Return the id of any user with a row in the store. None if the store shows none, or cannot be read."""
    try:
        with opening(STORES, config, _FIELD):
            kind = STORES.for_config(config)
            key = None if kind.any_key is None else kind.any_key(config, home)
    except ServiceError:
        return None
    if key is None:
        return None
    user = key.partition(b"{")[2].rpartition(b"}")[0]
    try:
        return user.decode() or None
    except UnicodeDecodeError:
        return None
