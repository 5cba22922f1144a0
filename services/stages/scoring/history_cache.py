"""The history cache: what a ranker makes of a user's past before it looks at candidates, kept for the next request.

``history_keys`` says when two pasts are one, ``history_scorer`` uses what is kept.
"""

from collections import OrderedDict
from typing import Any, Protocol

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

FIELD = "ranker.history_cache"
_OVERHEAD_BYTES = 300
"""What an entry takes beside its numbers: its key, its array's head, its place in the order."""


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
        """Give the number of entries."""
        return len(self._entries)

    def get(self, key: bytes) -> NDArray[Any] | None:
        """Give the array and make it the last to go."""
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
