"""The history cache keeps a ranker's encoded user histories for later requests. This module also computes the keys.

A key is a hash of the artifact's version and the stored events, followed by the request's time step. A step lasts
``max_age_s``. Event ages are counted from the time of encoding, so within a step they are wrong by less than
``max_age_s``. Feedback changes the user's stored row, and therefore the key. This takes effect on every replica at
once, without any message.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any, Protocol

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.features.definition import FeatureSet
from models.features.transforms import NOW
from models.ragged import RaggedBatch

FIELD = "ranker.history_cache"
_OVERHEAD_BYTES = 300
"""An entry's size without its numbers: the key, the array's header, and the position in the order of use."""


class HistoryCacheConfig(BaseModel):
    """The limits of a replica's history cache: its memory, and the largest error in event ages.

    Attributes:
        max_age_s: largest error in event ages, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int = Field(default=268_435_456, ge=1_048_576)
    max_age_s: float = Field(default=600.0, gt=0, le=86_400)


class LookupCounts(Protocol):
    """Counts look-up results and evicted entries."""

    def add(self, value: str, count: int = 1) -> None:
        """Count ``hit``, ``miss``, or entries that were ``evicted``."""
        ...


class NoCounts:
    """Counts nothing."""

    def add(self, value: str, count: int = 1) -> None:
        """Do nothing."""


class LruBytes:
    """Arrays by key, limited by their bytes. The least recently used array is evicted first.

    Several threads may use it. A lock for each call takes 0.1 us.
    """

    def __init__(self, max_bytes: int) -> None:
        """Start empty."""
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, NDArray[Any]] = OrderedDict()
        self._lock = Lock()
        self.held_bytes = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def get(self, key: bytes) -> NDArray[Any] | None:
        """Return the array and mark it as the most recently used."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: bytes, entry: NDArray[Any]) -> int:
        """Store an array, which must own its memory. Return the number of evicted arrays.

        An array that is too large evicts all others, and then itself.
        """
        evicted = 0
        with self._lock:
            previous = self._entries.pop(key, None)
            if previous is not None:
                self.held_bytes -= previous.nbytes + _OVERHEAD_BYTES
            self._entries[key] = entry
            self.held_bytes += entry.nbytes + _OVERHEAD_BYTES
            while self.held_bytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self.held_bytes -= oldest.nbytes + _OVERHEAD_BYTES
                evicted += 1
        return evicted


class HistoryKeys:
    """Makes keys for the histories in a batch, from the columns that the encoder reads."""

    def __init__(self, columns: Sequence[str], features: FeatureSet, version: str, max_age_s: float) -> None:
        """Find the stored columns behind ``columns``.

        Args:
            columns: the columns that the encoder reads, as "<group>.<name>". Derived columns are replaced by their
                inputs.
            features: the feature definitions.
            version: the artifact's version.
            max_age_s: a time step's length.
        """
        by_column = {feature.column: feature for feature in features.features}
        self._is_aged = False
        roots: dict[str, None] = {}
        pending = list(columns)
        while pending:
            name = pending.pop(0)
            feature = by_column.get(name)
            transform = None if feature is None else feature.transform
            if name == NOW:
                self._is_aged = True
            elif transform is None:
                roots[name] = None
            else:
                pending += transform.inputs
        self._roots = list(roots)
        self._version = version.encode()
        self._max_age_s = max_age_s

    def __call__(self, batch: RaggedBatch) -> list[bytes]:
        """Return one key per request. Histories with equal keys have equal encodings, except for their ages."""
        columns = [batch.requests[name] for name in self._roots]
        moments = batch.requests[NOW] if self._is_aged else None
        keys: list[bytes] = []
        for request in range(len(batch)):
            digest = hashlib.blake2b(self._version, digest_size=16)
            for column in columns:
                values = column[request]
                # Without the size, the same bytes could be divided between columns in several ways.
                digest.update(b"%d|" % values.size)
                digest.update(values.tobytes())
            key = digest.digest()
            if moments is not None:
                # Every history has its own phase. Otherwise all histories would have to be encoded again at the same
                # time.
                phase = int.from_bytes(key[:4], "big") / 2**32
                key += b"%d" % math.floor(moments[request] / self._max_age_s + phase)
            keys.append(key)
        return keys
