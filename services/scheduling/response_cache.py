"""The response cache: what was answered a moment ago is answered again, and identical requests at once are one.

Identical: the same release, user, context, candidates and k, and the same overlay and live item features on disk.
Degraded answers are not kept; they are shared by requests of one urgency alone.
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
from services.stages.refresh import Identity

Value = TypeVar("Value")


class ResponseCacheConfig(BaseModel):
    """How long answers are kept, and how many by a replica."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ttl_s: float = Field(default=10.0, gt=0, le=86_400)
    max_entries: int = Field(default=10_000, ge=1, le=10_000_000)


class CacheCounts(Protocol):
    """Hears what became of look-ups and entries."""

    def add(self, value: str, count: int = 1) -> None:
        """Note a ``hit``, a ``miss``, one that ``shared`` another's answer, or entries that were ``evicted``."""
        ...


class TtlCache(Generic[Value]):
    """Entries of one life time; at the limit the one soonest to end goes. Time is an argument and never runs back."""

    def __init__(self, ttl_s: float, max_entries: int) -> None:
        """Start empty."""
        self._ttl_s = ttl_s
        self._max_entries = max_entries
        self._entries: OrderedDict[bytes, tuple[float, Value]] = OrderedDict()  # as they will end

    def __len__(self) -> int:
        """Give the number of entries; some may have ended."""
        return len(self._entries)

    def get(self, key: bytes, now_s: float) -> Value | None:
        """Give what was put less than the life time ago."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now_s:
            del self._entries[key]
            return None
        return entry[1]

    def put(self, key: bytes, value: Value, now_s: float) -> int:
        """Keep a value; give how many others that had not ended went for it."""
        self._entries[key] = (now_s + self._ttl_s, value)
        self._entries.move_to_end(key)
        while self._entries and next(iter(self._entries.values()))[0] <= now_s:
            self._entries.popitem(last=False)
        evicted = max(0, len(self._entries) - self._max_entries)
        for _ in range(evicted):
            self._entries.popitem(last=False)
        return evicted


class ResponseCache:
    """One replica's answers, by what was asked; for the event loop alone."""

    def __init__(
        self,
        config: ResponseCacheConfig,
        counts: CacheCounts,
        clock: Callable[[], float],
        *,
        with_features: bool,
    ) -> None:
        """clock: the one that deadlines are on. with_features: answers keep what the served log takes of them."""
        self._held: TtlCache[Answer] = TtlCache(config.ttl_s, config.max_entries)
        self._counts = counts
        self._clock = clock
        self._with_features = with_features
        # The first of identical requests, until it is answered; None: it failed.
        self._flights: dict[Hashable, asyncio.Future[Answer | None]] = {}

    async def answer(
        self,
        key: bytes,
        deadline_s: float,
        make: Callable[[], Awaitable[Answer]],
        *,
        urgency: Hashable = None,
    ) -> Answer:
        """Give the answer that is kept, or that an identical request gets just now, or that ``make`` makes.

        urgency: what an answer on its way is shared by, too; who is in more haste, or less, gets its own.

        Raises:
            DeadlinePassed: the identical request is not answered in time. Whatever ``make`` raises.
        """
        now_s = self._clock()
        held = self._held.get(key, now_s)
        if held is not None:
            self._counts.add("hit")
            return held
        flight = self._flights.get((key, urgency))
        if flight is None:
            return await self._lead(key, urgency, make)
        await asyncio.wait([flight], timeout=max(0.0, deadline_s - now_s))
        if not flight.done():
            raise DeadlinePassed(
                "the deadline passed while an identical request was being answered: send again, or give a longer "
                "deadline_ms",
                retry_after_s=1,
            )
        shared = flight.result()
        if (
            shared is None
        ):  # for reasons of its own, as its deadline or its client's leaving: each goes on alone
            self._counts.add("miss")
            return await make()
        self._counts.add("shared")
        return shared

    async def _lead(self, key: bytes, urgency: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        self._counts.add("miss")
        flight = self._flights[(key, urgency)] = asyncio.get_running_loop().create_future()
        try:
            answer = await make()
            flight.set_result(answer)
        finally:
            del self._flights[(key, urgency)]
            if not flight.done():
                flight.set_result(None)
        if not answer.batch.missed_by(answer.first):
            evicted = self._held.put(key, self._own(answer), self._clock())
            if evicted:
                self._counts.add("evicted", evicted)
        return answer

    def _own(self, answer: Answer) -> Answer:
        """Give the answer without the rest of its batch, and without times that are not those of who asks again."""
        batch, first = answer.batch, answer.first
        if self._with_features:
            return Answer(batch.take(np.array([first])), 0, 0.0, {})
        own = slice(int(batch.offsets[first]), int(batch.offsets[first + 1]))
        alone = RaggedBatch(
            offsets=np.array([0, own.stop - own.start]),
            rows=batch.rows[own].copy(),
            candidates={name: column[own].copy() for name, column in batch.candidates.items()},
            release=batch.release,
        )
        return Answer(alone, 0, 0.0, {})


def key_of(query: Query, release: str, taken: Sequence[Identity]) -> bytes:
    """Give 16 bytes that requests share when one answer serves them all.

    taken: the overlay and the live item features in use.
    """
    asked = msgspec.msgpack.encode(
        (release, taken, query.user_key, query.context, query.k, query.rows is None)
    )
    digest = hashlib.blake2b(asked, digest_size=16)
    if query.rows is not None:
        digest.update(query.rows.tobytes())
    return digest.digest()
