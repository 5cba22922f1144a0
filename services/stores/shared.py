"""One process's open stores: releases that name the same store share it.

LMDB can be opened but once a process, and a pool of connections need not be there twice. A store is closed when the
last batch of the last release that reads it is gone, which the interpreter's own reference counts tell.
"""

import weakref
from collections.abc import Sequence
from pathlib import Path

from services.stores import open_store
from services.stores.base import FeatureStore, Reading
from services.stores.kinds.registry import StoreConfig


class SharedStore:
    """An open store; closed with its last reference, or before."""

    def __init__(self, store: FeatureStore) -> None:
        """Take over ``store``."""
        self._store = store
        self._finalizer = weakref.finalize(self, store.close)
        self._finalizer.atexit = False

    @property
    def waits(self) -> bool:
        """Whether a read waits for another process."""
        return self._store.waits

    @property
    def left_alone(self) -> int:
        """How many of its servers are not asked, as they failed lately."""
        return self._store.left_alone

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        """Read all keys in one round trip."""
        return self._store.read_many(keys)

    def close(self) -> None:
        """Close it now, whoever else holds it; once is enough."""
        self._finalizer()


class SharedStores:
    """The open stores by configuration. Used by one thread at a time, but ``left_alone``."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: weakref.WeakValueDictionary[str, SharedStore] = weakref.WeakValueDictionary()

    @property
    def left_alone(self) -> int:
        """How many servers of all stores are not asked, as they failed lately."""
        stores = [reference() for reference in self._open.valuerefs()]
        return sum(store.left_alone for store in stores if store is not None)

    def open(self, config: StoreConfig, home: Path, readers: int) -> SharedStore:
        """Give the store that is open already, or open it.

        Raises:
            ConfigError: as ``open_store``.
        """
        key = config.model_dump_json()
        store = self._open.get(key)
        if store is None:
            store = self._open[key] = SharedStore(open_store(config, home, readers))
        return store
