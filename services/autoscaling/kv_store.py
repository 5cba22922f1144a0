"""What a pipeline's policy leaves for its replicas, and for itself, in Ray's internal key-value store.

A policy runs in Serve's controller, which must not wait and cannot change a deployment's ``user_config`` from within;
and every ingress replica, also one that starts later, has to learn the weights. A key of the store that Serve keeps
its own checkpoints in does both: no process of its own to place or to lose, no connection more, one small read a
second from each ingress replica, and what was written outlives controller and replicas. Calls to replicas would
miss those that start; an actor would have to be placed, and be told everything again whenever its node is lost.
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
    """Values by key, shared by all processes of the cluster. Both methods block, and may raise anything."""

    def read(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None if there is none."""
        ...

    def write(self, key: bytes, value: bytes) -> None:
        """Write a value over what is there."""
        ...


class KvStore:
    """The values of one pipeline, by name."""

    def __init__(self, pipeline: str, keys: Keys | None = None) -> None:
        """Read and write the values of this pipeline. keys: Ray's own by default, which need a Ray process."""
        self._pipeline = pipeline
        self._keys = RayKeys(_NAMESPACE) if keys is None else keys
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="kv-store")
        self._waiting: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def read(self, name: str) -> bytes | None:
        """Return a value, or None if there is none. It blocks."""
        return self._keys.read(self._key(name))

    def post(self, name: str, value: bytes) -> None:
        """Write a value soon, without waiting; of those posted while the store is slow, only the last is written."""
        with self._lock:
            is_first = name not in self._waiting
            self._waiting[name] = value
        if is_first:
            self._writer.submit(self._write, name)

    def close(self) -> None:
        """Write what was posted."""
        self._writer.shutdown()

    def _write(self, name: str) -> None:
        with self._lock:
            value = self._waiting.pop(name)
        try:
            self._keys.write(self._key(name), value)
        except Exception:
            logger.exception(
                "%s of pipeline %s could not be written to Ray's key-value store", name, self._pipeline
            )

    def _key(self, name: str) -> bytes:
        return f"{self._pipeline}/{name}".encode()


def post_weights(store: KvStore, unit: str, weights: Weights) -> None:
    """Leave the weights of a unit's pools for the ingresses."""
    store.post(f"weights/{unit}", json.dumps(dict(weights)).encode())


class FollowedWeights:
    """Looks for other weights of a unit's pools, on a thread of its own."""

    def __init__(
        self, store: KvStore, unit: str, take: Callable[[Weights], object], period_s: float = _PERIOD_S
    ) -> None:
        """Call ``take`` with the weights that are there, and whenever they change; on this object's thread."""
        self._store, self._name, self._take = store, f"weights/{unit}", take
        self._taken: bytes | None = None
        self._thread = PeriodicThread(
            self._look,
            period_s,
            name="weights",
            failure="weights could not be read from Ray's key-value store; the last weights stay in use",
            at_start=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._thread.close()
        self._store.close()

    def _look(self) -> None:
        value = self._store.read(self._name)
        if value is not None and value != self._taken:
            self._take(json.loads(value))
            self._taken = value
