"""Values that a pipeline's policy keeps in Ray's internal key-value store: pool weights and the policy's state.

A policy runs in Serve's controller. It must not block there, and it cannot change a deployment's
``user_config``. Still, every ingress replica must learn the weights, including replicas that start later.
Serve keeps its own checkpoints in this store. The store has these advantages:

- There is no additional process to place or to lose, and no additional connection.
- Each ingress replica makes one small read per second.
- The values survive the controller and the replicas.

Calls to replicas would miss replicas that are starting. An actor would have to be placed, and would need all values
again whenever its node is lost.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from services.periodic import PeriodicThread
from services.ray_internals.cluster import RayKeys

_NAMESPACE = b"rankway"
_PERIOD_S = 1.0
Weights = Mapping[str, float]
logger = logging.getLogger("ray.serve")


class Keys(Protocol):
    """Values by key, shared by all processes in the cluster. Both methods block, and may raise any exception."""

    def read(self, key: bytes) -> bytes | None:
        """Return a key's value, or None if there is none."""
        ...

    def write(self, key: bytes, value: bytes) -> None:
        """Write a value, replacing an earlier one."""
        ...


class KvStore:
    """One pipeline's values, by name."""

    def __init__(self, pipeline: str, keys: Keys | None = None) -> None:
        """Select this pipeline's values.

        The default for ``keys`` is Ray's own store, which needs a process that has joined a cluster.
        """
        self._pipeline = pipeline
        self._keys = RayKeys(_NAMESPACE) if keys is None else keys
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="kv-store")
        self._waiting: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def read(self, name: str) -> bytes | None:
        """Return a value, or None if there is none. This blocks."""
        return self._keys.read(self._key(name))

    def post(self, name: str, value: bytes) -> None:
        """Queue a value to be written soon, and do not wait for the write.

        If the store is slow, only the last value posted under a name is written.
        """
        with self._lock:
            is_first = name not in self._waiting
            self._waiting[name] = value
        if is_first:
            self._writer.submit(self._write, name)

    def close(self) -> None:
        """Write the posted values and stop the writer."""
        self._writer.shutdown()

    def _write(self, name: str) -> None:
        with self._lock:
            value = self._waiting.pop(name)
        try:
            self._keys.write(self._key(name), value)
        except Exception:
            logger.exception(
                "value %s of pipeline %s could not be written to Ray's key-value store", name, self._pipeline
            )

    def _key(self, name: str) -> bytes:
        return f"{self._pipeline}/{name}".encode()


def post_weights(store: KvStore, unit: str, weights: Weights) -> None:
    """Write the weights for a unit's pools. The ingress replicas read them."""
    store.post(f"weights/{unit}", json.dumps(dict(weights)).encode())


class FollowedWeights:
    """Reads the weights for a unit's pools on its own thread, and passes on changes."""

    def __init__(
        self, store: KvStore, unit: str, take: Callable[[Weights], object], period_s: float = _PERIOD_S
    ) -> None:
        """Start the thread. It calls ``take`` with the current weights, and again whenever they change."""
        self._store, self._name, self._take = store, f"weights/{unit}", take
        self._last_value: bytes | None = None
        self._thread = PeriodicThread(
            self._poll,
            period_s,
            name="weights",
            failure="pool weights could not be read from Ray's key-value store; the last weights stay in use",
            at_start=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop reading and close the store."""
        self._thread.close()
        self._store.close()

    def _poll(self) -> None:
        value = self._store.read(self._name)
        if value is not None and value != self._last_value:
            self._take(json.loads(value))
            self._last_value = value
