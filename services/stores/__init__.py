"""Feature stores; ``open_store`` and ``open_writer`` are the factories."""

from pathlib import Path

from services.errors import ConfigError
from services.plugins import opening
from services.stores.base import FeatureStore, StoreOptions, StoreWriter
from services.stores.guarded import GuardedStore
from services.stores.kinds.registry import STORES

_FIELD = "features.store"


def open_store(config: StoreOptions, home: Path, readers: int = 1) -> FeatureStore:
    """Open the configured store for reading, by at most ``readers`` threads at once.

    Raises:
        ConfigError: an embedded one is missing or cannot be opened; a secret or certificate is missing.
    """
    with opening(STORES, config, _FIELD):
        store: FeatureStore = STORES.for_config(config).open(config, home, readers)
    return store if config.kind in STORES.builtins else GuardedStore(store)


def open_writer(config: StoreOptions, home: Path) -> StoreWriter:
    """Open the configured store for writing.

    Raises:
        ConfigError: as ``open_store``, or only other programs write it. StoreFailed: a server cannot be reached.
    """
    with opening(STORES, config, _FIELD):
        kind = STORES.for_config(config)
        if kind.open_writer is None:
            raise ConfigError(
                f"rankway cannot write stores of this kind, got {config.kind}; load it with the tools of its package",
                field=f"{_FIELD}.kind",
            )
        return kind.open_writer(config, home)


def check_store(config: StoreOptions, home: Path) -> None:
    """Look whether the store can be opened; a server need not be there.

    Raises:
        ConfigError: as ``open_store``.
    """
    with opening(STORES, config, _FIELD):
        kind = STORES.for_config(config)
        if kind.check is not None:
            kind.check(config, home)
        else:
            kind.open(config, home, 1).close()


def store_fault(config: StoreOptions, home: Path) -> str | None:
    """Return what is wrong with the store's server; None if nothing is, or if it has none.

    Raises:
        ConfigError: as ``open_store``.
    """
    with opening(STORES, config, _FIELD):
        kind = STORES.for_config(config)
        return None if kind.fault is None else kind.fault(config, home)
