"""The history cache: a ranker's encoded user histories, kept for the next request, and their keys.

A key is a hash of the artifact's version, of the stored events as bytes, and of the moment that they are aged from, in
steps of ``max_age_s``. Feedback that reaches the user's stored row therefore makes another key, on every replica at
once and without any message. Within a step ages stay as they were at the encoding: less than ``max_age_s`` out.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.features.definition import FeatureSet
from models.features.transforms import NOW
from models.ragged import RaggedBatch

FIELD = "ranker.history_cache"
_OVERHEAD_BYTES = 300
"""What an entry takes beside its numbers: its key, its array's head, its position in the order."""


class HistoryCacheConfig(BaseModel):
    """How much memory encoded histories may take in a replica, and how far out their ages may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int = Field(default=268_435_456, ge=1_048_576)
    max_age_s: float = Field(default=600.0, gt=0, le=86_400)


class LookupCounts(Protocol):
    """Hears what became of look-ups and entries."""

    def add(self, value: str, count: int = 1) -> None:
        """Note ``hit``, ``miss``, or entries that were ``evicted``."""
        ...


class NoCounts:
    """Hears nothing."""

    def add(self, value: str, count: int = 1) -> None:
        """Forget it."""


class LruBytes:
    """Arrays by key within a number of bytes; the one not asked for the longest goes first."""

    def __init__(self, max_bytes: int) -> None:
        """Start empty."""
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, NDArray[Any]] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def get(self, key: bytes) -> NDArray[Any] | None:
        """Return the array and make it the last to go."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: NDArray[Any]) -> int:
        """Keep an array, which must own its memory; give how many others went for it, itself if it is too large."""
        before = self._entries.pop(key, None)
        if before is not None:
            self.held_bytes -= before.nbytes + _OVERHEAD_BYTES
        self._entries[key] = entry
        self.held_bytes += entry.nbytes + _OVERHEAD_BYTES
        evicted = 0
        while self.held_bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.held_bytes -= oldest.nbytes + _OVERHEAD_BYTES
            evicted += 1
        return evicted


class HistoryKeys:
    """Keys of the pasts in a batch, from the columns that encoding reads."""

    def __init__(self, columns: Sequence[str], features: FeatureSet, version: str, max_age_s: float) -> None:
        """columns: "<group>.<name>". What follows from the moment is replaced by what it follows from."""
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
        """Return a key a request; equal keys are of pasts that are encoded alike, but for their ages."""
        columns = [batch.requests[name] for name in self._roots]
        moments = batch.requests[NOW] if self._is_aged else None
        keys: list[bytes] = []
        for request in range(len(batch)):
            hashed = hashlib.blake2b(self._version, digest_size=16)
            for column in columns:
                values = column[request]
                hashed.update(b"%d|" % values.size)  # else the end of one could be the beginning of the next
                hashed.update(values.tobytes())
            key = hashed.digest()
            if moments is not None:
                # Every past has steps of its own: else all of them would have to be encoded again at once.
                phase = int.from_bytes(key[:4], "big") / 2**32
                key += b"%d" % math.floor(moments[request] / self._max_age_s + phase)
            keys.append(key)
        return keys


def column_of(source: str) -> str:
    """Return the column of requests that an input reads: ``user.history`` of ``item.start@user.history:list``."""
    base = source.partition(":")[0]
    return base.partition("@")[2] or base
