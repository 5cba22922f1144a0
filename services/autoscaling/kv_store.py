"""The board: what a pipeline's policy leaves for its replicas, and for itself, in Ray's internal key-value store.

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

from services.ray_internals.cluster import read_key, write_key

_NAMESPACE = b"rankway"
_PERIOD_S = 1.0
Weights = Mapping[str, float]
logger = logging.getLogger("ray.serve")


class Board:
    """One pipeline's notes, by name. Blocking; ``post`` does not wait."""

    def __init__(self, pipeline: str) -> None:
        """Read and write the notes of this pipeline; inside a Ray process."""
        self._pipeline = pipeline
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="board")
        self._waiting: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def read(self, name: str) -> bytes | None:
        """Give the note, None where there is none."""
        return read_key(_NAMESPACE, self._key(name))

    def post(self, name: str, note: bytes) -> None:
        """Write the note soon; of those that come while the store is slow, the last."""
        with self._lock:
            is_first = name not in self._waiting
            self._waiting[name] = note
        if is_first:
            self._writer.submit(self._write, name)

    def close(self) -> None:
        """Write what waits."""
        self._writer.shutdown()

    def _write(self, name: str) -> None:
        with self._lock:
            note = self._waiting.pop(name)
        try:
            write_key(_NAMESPACE, self._key(name), note)
        except Exception:
            logger.exception("%s of %s could not be noted in Ray's store", name, self._pipeline)

    def _key(self, name: str) -> bytes:
        return f"{self._pipeline}/{name}".encode()


def post_weights(board: Board, unit: str, weights: Weights) -> None:
    """Leave the weights of a unit's pools for the ingresses."""
    board.post(f"weights/{unit}", json.dumps(dict(weights)).encode())


class FollowedWeights:
    """Looks for other weights of a unit's pools, on a thread of its own."""

    def __init__(self, board: Board, unit: str, take: Callable[[Weights], object]) -> None:
        """Give ``take`` what is there and whatever follows; on this object's thread."""
        self._board, self._name, self._take = board, f"weights/{unit}", take
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="weights", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()
        self._board.close()

    def _follow(self) -> None:
        known: bytes | None = None
        while True:
            try:
                note = self._board.read(self._name)
                if note is not None and note != known:
                    self._take(json.loads(note))
                    known = note
            except Exception:  # without the store the last weights hold
                logger.exception("weights could not be read from Ray's store")
            if self._stop.wait(_PERIOD_S):
                return
