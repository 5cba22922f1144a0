"""Response cache with request coalescing.

Recent answers are reused, and concurrent identical requests are ranked once. Requests are identical if they have the
same release, user, context, candidates and k, and the same deltas, overlay and live item features on disk. A degraded
answer is not cached, but concurrent requests share it. Therefore they share answers only if their urgency is the same,
too.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.ragged import RaggedBatch
from services.errors import DeadlinePassed
from services.scheduling.job import Answer
from services.stages.query import Query

Value = TypeVar("Value")


class ResponseCacheConfig(BaseModel):
    """How long answers are kept, and how many in each replica."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ttl_s: float = Field(default=10.0, gt=0, le=86_400)
    max_entries: int = Field(default=10_000, ge=1, le=10_000_000)


class CacheCounts(Protocol):
    """Counts the results of look-ups, and evicted entries."""

    def add(self, value: str, count: int = 1) -> None:
        """Count a ``hit``, a ``miss``, a request that ``shared`` an answer, or ``evicted`` entries."""
        ...


class TtlCache(Generic[Value]):
    """Entries with the same lifetime. At the limit, the oldest is evicted. Time is an argument and never falls."""

    def __init__(self, ttl_s: float, max_entries: int) -> None:
        """Start empty."""
        self._ttl_s = ttl_s
        self._max_entries = max_entries
        self._entries: OrderedDict[bytes, tuple[float, Value]] = OrderedDict()  # the oldest first

    def __len__(self) -> int:
        """Return the number of entries. Some may have expired."""
        return len(self._entries)

    def get(self, key: bytes, now_s: float) -> Value | None:
        """Return a key's value. None if there is no entry, or if it has expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now_s:
            del self._entries[key]
            return None
        return entry[1]

    def put(self, key: bytes, value: Value, now_s: float) -> int:
        """Store a value. Return the number of unexpired entries that were evicted."""
        self._entries[key] = (now_s + self._ttl_s, value)
        self._entries.move_to_end(key)
        while self._entries and next(iter(self._entries.values()))[0] <= now_s:
            self._entries.popitem(last=False)
        evicted = max(0, len(self._entries) - self._max_entries)
        for _ in range(evicted):
            self._entries.popitem(last=False)
        return evicted


class ResponseCache:
    """One replica's answers by request key. For the event loop only."""

    def __init__(
        self,
        config: ResponseCacheConfig,
        counts: CacheCounts,
        clock: Callable[[], float],
        *,
        with_features: bool,
    ) -> None:
        """Start empty.

        Args:
            config: how long answers are kept, and how many.
            counts: counts the results of look-ups.
            clock: the clock of all deadlines, in seconds.
            with_features: whether answers keep the columns that the served log needs.
        """
        self._cache: TtlCache[Answer] = TtlCache(config.ttl_s, config.max_entries)
        self._counts = counts
        self._clock = clock
        self._with_features = with_features
        # The first of several identical requests, until it is answered. The future's result is None if the request
        # failed.
        self._pending: dict[Hashable, asyncio.Future[Answer | None]] = {}

    @property
    def pending(self) -> int:
        """The number of requests that are being answered, except those that wait to share an answer."""
        return len(self._pending)

    async def answer(
        self,
        key: bytes,
        deadline_s: float,
        make: Callable[[], Awaitable[Answer]],
        *,
        urgency: Hashable = None,
    ) -> Answer:
        """Return the cached answer, the answer of a concurrent identical request, or the result of ``make``.

        Args:
            key: equal for identical requests.
            deadline_s: the time until which to wait for an identical request.
            make: computes the answer.
            urgency: concurrent requests share an answer only if their urgency is equal, too.

        Raises:
            DeadlinePassed: the identical request is not answered in time.
            ServiceError: ``make`` failed.
        """
        now_s = self._clock()
        cached = self._cache.get(key, now_s)
        if cached is not None:
            self._counts.add("hit")
            return cached
        pending = self._pending.get((key, urgency))
        if pending is None:
            return await self._lead(key, urgency, make)
        await asyncio.wait([pending], timeout=max(0.0, deadline_s - now_s))
        if not pending.done():
            raise DeadlinePassed(
                "deadline_ms: passed while an identical request was being answered; send again, or send a longer "
                "deadline",
                retry_after_s=1,
            )
        shared = pending.result()
        if shared is None:
            # The first request failed, perhaps because of its own deadline or client. The others continue without it.
            self._counts.add("miss")
            return await make()
        self._counts.add("shared")
        return shared

    async def _lead(self, key: bytes, urgency: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        self._counts.add("miss")
        future = self._pending[(key, urgency)] = asyncio.get_running_loop().create_future()
        try:
            answer = await make()
            future.set_result(answer)
        finally:
            del self._pending[(key, urgency)]
            if not future.done():
                future.set_result(None)
        if not answer.batch.missed_by(answer.first):
            evicted = self._cache.put(key, self._own_copy(answer), self._clock())
            if evicted:
                self._counts.add("evicted", evicted)
        return answer

    def _own_copy(self, answer: Answer) -> Answer:
        """Copy one answer out of its batch. The timings are left out, because they do not apply to later requests."""
        batch, first = answer.batch, answer.first
        if self._with_features:
            return Answer(batch.take(np.array([first])), 0, 0.0, {})
        candidates = slice(int(batch.offsets[first]), int(batch.offsets[first + 1]))
        copy = RaggedBatch(
            offsets=np.array([0, candidates.stop - candidates.start]),
            rows=batch.rows[candidates].copy(),
            candidates={name: column[candidates].copy() for name, column in batch.candidates.items()},
            release=batch.release,
            catalogue=batch.catalogue,
        )
        return Answer(copy, 0, 0.0, {})


def key_of(query: Query, release: str, live_data: Sequence[object]) -> bytes:
    """Return a 16-byte key. Requests with equal keys can have the same answer.

    Args:
        query: the request.
        release: the release's name.
        live_data: the catalogue's deltas, the overlay and the live item features in use.
    """
    fields = (release, live_data, query.user_key, query.context, query.k, query.rows is None)
    digest = hashlib.blake2b(msgspec.msgpack.encode(fields), digest_size=16)
    if query.rows is not None:
        digest.update(query.rows.tobytes())
    return digest.digest()
