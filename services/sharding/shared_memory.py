"""Memory that all ranks of a group on one machine have mapped: what each has to say, how far it is, and who sleeps.

A rank writes into its slot, then counts one up; who waits for it looks at the count, for two milliseconds again and
again, then asleep, by a socket to that rank, over which it is woken. The socket also tells of the rank's end. There is
no lock: a count has one writer. The mapping has no name, and is gone with the processes.

The order of memory is x86's: stores of one core are seen in their order (Intel SDM 3A, 8.2.2), aligned words whole, and
``_fence`` keeps a load from going before a store. Elsewhere, and between machines, gloo is used.
"""

import mmap
import os
import platform
import select
import socket
import sys
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from enum import IntEnum

_SPIN_S = 0.002
_LINE_BYTES = 64
_WORD_BYTES = 8

SLOT_BYTES = 1 << 20
SLOTS_EACH = 2
"""A rank writes one while others may still read the other: who is done with a round is done with that before it."""


class RankEnded(RuntimeError):
    """A rank that is waited for has ended."""


class RankSilent(RuntimeError):
    """A rank that is waited for has not come within the limit."""


class Channel(IntEnum):
    """What is counted apart."""

    SUMS = 0
    ORDERS = 1


class SharedBoard:
    """One rank's end. One thread of a process uses it at a time."""

    def __init__(self, rank: int, size: int, memory: int, bells: dict[int, socket.socket]) -> None:
        """Map ``memory``, a file descriptor; ``bells`` are sockets to the other ranks. Takes all of them over."""
        self.rank, self.size = rank, size
        self.others = [each for each in range(size) if each != rank]
        self.mapping = mmap.mmap(memory, total_bytes(size), mmap.MAP_SHARED | mmap.MAP_POPULATE)
        os.close(memory)
        self._words = memoryview(self.mapping).cast("Q")
        self._bells = bells
        self._rank_of = {bell.fileno(): other for other, bell in bells.items()}
        for bell in bells.values():
            bell.setblocking(False)
        self._ended: set[int] = set()
        self._lock = threading.Lock()

    def slot_offset(self, channel: Channel, number: int, rank: int) -> int:
        """Give where a rank's slot for round ``number`` begins in the mapping, in bytes; orders are rank 0's alone."""
        place = number % SLOTS_EACH * self.size + rank
        if channel is Channel.ORDERS:
            place = SLOTS_EACH * self.size + number % SLOTS_EACH
        return _header_bytes(self.size) + place * SLOT_BYTES

    def publish(self, channel: Channel, number: int) -> None:
        """Say that this rank is done with round ``number``, and wake who sleeps."""
        self._words[self._line(channel, self.rank)] = number
        self._fence()
        for other in self.others:
            if self._words[self._line(len(Channel), other)]:
                with suppress(OSError):  # full: it has been woken; closed: nobody is there to wake
                    self._bells[other].send(b"!")

    def wait(self, channel: Channel, number: int, ranks: Collection[int], limit_s: float | None) -> None:
        """Wait until ``ranks`` are done with round ``number``.

        Raises:
            RankEnded, RankSilent: one will not be, or is not within the limit.
        """
        if not (behind := self._behind(channel, number, ranks)):
            return
        poller = select.poll()
        for rank in behind:
            poller.register(self._bells[rank], select.POLLIN)
        started_s = time.monotonic()
        while behind := self._behind(channel, number, behind):
            if ended := self._ended.intersection(behind):
                raise RankEnded(f"rank {min(ended)} has ended")
            waited_s = time.monotonic() - started_s
            if limit_s is not None and waited_s > limit_s:
                raise RankSilent(f"rank {behind[0]} does not take part")
            if waited_s < _SPIN_S:
                os.sched_yield()  # to that rank, where cores are scarce; poll gives up the GIL
                rung = poller.poll(0)
            else:
                rung = self._sleep(poller, channel, number, behind, limit_s and limit_s - waited_s)
            for bell, _ in rung:
                self._answer(bell, poller)

    def close(self) -> None:
        """Let go of the others, who see it as this rank's end."""
        for bell in self._bells.values():
            bell.close()

    def _behind(self, channel: Channel, number: int, ranks: Collection[int]) -> list[int]:
        return [rank for rank in ranks if self._words[self._line(channel, rank)] < number]

    def _sleep(
        self,
        poller: select.poll,
        channel: Channel,
        number: int,
        ranks: Collection[int],
        limit_s: float | None,
    ) -> list[tuple[int, int]]:
        """Wait for a bell; who counts up after this rank's flag is seen rings it, who did before is seen here."""
        flag = self._line(len(Channel), self.rank)
        self._words[flag] = 1
        self._fence()
        try:
            if len(self._behind(channel, number, ranks)) < len(ranks):
                return []
            return poller.poll(None if limit_s is None else limit_s * 1e3 + 1)
        finally:
            self._words[flag] = 0

    def _answer(self, fileno: int, poller: select.poll) -> None:
        rank = self._rank_of[fileno]
        try:
            is_open = bool(self._bells[rank].recv(4096))
        except BlockingIOError:
            is_open = True
        except OSError:
            is_open = False
        if not is_open:
            poller.unregister(fileno)
            self._ended.add(rank)

    def _line(self, kind: int, rank: int) -> int:
        """Give which word it is: each has a cache line of its own."""
        return (kind * self.size + rank) * (_LINE_BYTES // _WORD_BYTES)

    def _fence(self) -> None:
        """Have all stores before seen before any load after: taking a lock is a locked instruction."""
        with self._lock:
            pass


def _header_bytes(size: int) -> int:
    used = (len(Channel) + 1) * size * _LINE_BYTES
    return used + -used % mmap.PAGESIZE


def total_bytes(size: int) -> int:
    """Return the size of the mapping of a group of ``size`` ranks."""
    return _header_bytes(size) + SLOTS_EACH * (size + 1) * SLOT_BYTES


def is_possible() -> bool:
    """Say whether this machine's memory is ordered so."""
    return sys.platform == "linux" and platform.machine() == "x86_64"
