"""The open stores in one process. Releases that use the same store share it.

A process can open an LMDB environment only once, and for a server one connection pool is enough. A store is closed with
the last reference to it, when no release and no running batch uses it any more.
"""

import weakref
from collections.abc import Sequence
from pathlib import Path

from services.stores import open_store
from services.stores.base import FeatureStore, Reading
from services.stores.kinds.registry import StoreConfig


class SharedStore:
    """An open store. It is closed with the last reference to it, or by ``close``."""

    def __init__(self, store: FeatureStore) -> None:
        """Wrap ``store``, and close it later."""
        self._store = store
        self._finalizer = weakref.finalize(self, store.close)
        self._finalizer.atexit = False

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
        return self._store.read_many(keys)

    def close(self) -> None:
        """Close the store now, even if others still have a reference to it. Further calls do nothing."""
        self._finalizer()


class SharedStores:
    """The open stores by configuration. Only one thread at a time may use this object, except for ``left_alone``."""

    def __init__(self) -> None:
        """Start without any store."""
        self._open: weakref.WeakValueDictionary[str, SharedStore] = weakref.WeakValueDictionary()

    @property
    def left_alone(self) -> int:
        """The number of servers, over all stores, that are skipped because they have failed."""
        stores = [reference() for reference in self._open.valuerefs()]
        return sum(store.left_alone for store in stores if store is not None)

    def open(self, config: StoreConfig, home: Path, readers: int) -> SharedStore:
        """Return the store for a configuration, and open it if necessary. The arguments are as for ``open_store``.

        Raises:
            ConfigError: as for ``open_store``.
        """
        key = config.model_dump_json()
        store = self._open.get(key)
        if store is None:
            store = self._open[key] = SharedStore(open_store(config, home, readers))
        return store
