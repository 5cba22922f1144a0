"""Shared memory between the ranks on one host: a data slot, a progress counter and a sleep flag per rank.

A rank writes its data into its slot and then increments its counter. A rank that waits for the data polls the counter
for two milliseconds. Then it sets its sleep flag and sleeps on a socket, on which the other rank wakes it. The same
socket reports that a rank has ended. There are no locks, because each counter has one writer. The mapping has no name,
and is freed when the last process ends.

``services.sharding.fence`` describes the memory order that this needs, and why x86-64 has it.
"""

import mmap
import os
import platform
import select
import socket
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from enum import IntEnum

from services.sharding.fence import new_full_fence

_SPIN_S = 0.002
_LINE_BYTES = 64
_WORD_BYTES = 8

SLOT_BYTES = 1 << 20
SLOTS_EACH = 2
"""Double buffering: a rank writes one slot while others may still read the other.

A rank that has published round n no longer reads the slots of round n - 1.
"""
RING_SLOTS = 4
"""Slots for a rank's activations, which only the next rank reads. With more slots it can lag further behind."""


class RankEnded(RuntimeError):
    """A rank ended while another one waited for it."""


class RankSilent(RuntimeError):
    """A rank did not respond within the time limit of a wait."""


class Channel(IntEnum):
    """A sequence of rounds. Each channel has its own counters."""

    ALL_REDUCE = 0
    COMMANDS = 1
    ACTIVATIONS = 2
    READ_ACTIVATIONS = 3
    """The activations that this rank has read from the previous rank's slots. The channel has no slots of its own."""


Round = tuple[Channel, int, int]
"""A round of a rank: the channel, the round's number and the rank."""


class SharedMemory:
    """One rank's view of the memory. Only one thread in each process may use it at a time.

    Attributes:
        rank: this rank's number.
        size: the rank count, including rank 0.
        spin_s: the seconds that this rank polls before it sleeps.
        others: the other ranks' numbers.
        mapping: the memory.
    """

    def __init__(self, rank: int, size: int, descriptor: int, sockets: dict[int, socket.socket]) -> None:
        """Map the memory.

        Args:
            rank: this rank's number.
            size: the rank count, including rank 0.
            descriptor: the memory's file descriptor. It is closed once the memory is mapped.
            sockets: the sockets to the other ranks, by rank number. ``close`` closes them.

        Raises:
            OSError: the memory cannot be mapped.
        """
        self.rank, self.size = rank, size
        self.spin_s = _SPIN_S
        self.others = [other for other in range(size) if other != rank]
        self.mapping = mmap.mmap(descriptor, total_bytes(size), mmap.MAP_SHARED | mmap.MAP_POPULATE)
        os.close(descriptor)
        self._words = memoryview(self.mapping).cast("Q")
        self._sockets = sockets
        self._rank_by_fileno = {each.fileno(): other for other, each in sockets.items()}
        for each in sockets.values():
            each.setblocking(False)
        self._ended: set[int] = set()
        self._full_fence = new_full_fence()

    def slot_offset(self, channel: Channel, number: int, rank: int) -> int:
        """Return the offset in bytes of a rank's slot for round ``number``. Only rank 0 has slots for commands."""
        if channel is Channel.ALL_REDUCE:
            index = number % SLOTS_EACH * self.size + rank
        elif channel is Channel.COMMANDS:
            index = SLOTS_EACH * self.size + number % SLOTS_EACH
        else:
            index = SLOTS_EACH * (self.size + 1) + number % RING_SLOTS * self.size + rank
        return _header_bytes(self.size) + index * SLOT_BYTES

    def publish(self, channel: Channel, number: int) -> None:
        """Publish that this rank has finished round ``number``, and wake the ranks that sleep."""
        # The data was written before the counter. Stores stay in order, so no fence is needed here.
        self._words[self._word_index(channel, self.rank)] = number
        # Store, then load: without a fence this rank could read a sleep flag before its counter is visible. The other
        # rank could meanwhile set the flag, read the old counter and sleep for ever.
        self._full_fence()
        for other in self.others:
            if self._words[self._word_index(len(Channel), other)]:
                with suppress(OSError):  # a full socket has woken that rank, a closed socket means its end
                    self._sockets[other].send(b"!")

    def wait(self, channel: Channel, number: int, ranks: Collection[int], limit_s: float | None) -> None:
        """Wait until ``ranks`` have finished round ``number``.

        The caller may then read these ranks' data. Loads stay in order, so no fence is needed.

        Args:
            channel: the sequence of rounds.
            number: the round's number.
            ranks: the ranks to wait for.
            limit_s: seconds to wait. None waits without a limit.

        Raises:
            RankEnded: one of the ranks has ended.
            RankSilent: one of the ranks has not finished within the limit.
        """
        self._wait(lambda: [rank for rank in ranks if not self.is_done(channel, number, rank)], limit_s)

    def wait_any(self, rounds: Sequence[Round], limit_s: float | None) -> None:
        """Wait until one of several rounds is finished.

        Raises:
            RankEnded: any rank has ended.
            RankSilent: none of the rounds has been finished within the limit.
        """
        ranks = [rank for _, _, rank in rounds]
        ranks += [rank for rank in self.others if rank not in ranks]
        self._wait(lambda: [] if any(self.is_done(*each) for each in rounds) else ranks, limit_s)

    def is_done(self, channel: Channel, number: int, rank: int) -> bool:
        """Return whether a rank has finished round ``number``."""
        return self._words[self._word_index(channel, rank)] >= number

    def _wait(self, awaited: Callable[[], list[int]], limit_s: float | None) -> None:
        """Wait until ``awaited`` returns no ranks. It must never return more ranks than before."""
        if not (behind := awaited()):
            return
        poller = select.poll()
        for rank in behind:
            poller.register(self._sockets[rank], select.POLLIN)
        started_s = time.monotonic()
        while behind := awaited():
            if ended := self._ended.intersection(behind):
                raise RankEnded(f"rank {min(ended)} has ended")
            waited_s = time.monotonic() - started_s
            if limit_s is not None and waited_s > limit_s:
                raise RankSilent(f"rank {behind[0]} does not respond")
            if waited_s < self.spin_s:
                os.sched_yield()  # lets the awaited rank run if cores are scarce. poll releases the GIL
                readable = poller.poll(0)
            else:
                readable = self._sleep(poller, awaited, len(behind), limit_s and limit_s - waited_s)
            for fileno, _ in readable:
                self._drain(fileno, poller)

    def close(self) -> None:
        """Close the sockets. The other ranks then treat this rank as ended."""
        for each in self._sockets.values():
            each.close()

    def _sleep(
        self, poller: select.poll, awaited: Callable[[], list[int]], count: int, limit_s: float | None
    ) -> list[tuple[int, int]]:
        """Sleep until a socket is readable. Return at once if fewer than ``count`` ranks are awaited.

        A rank may have finished before it could see the sleep flag.
        """
        flag = self._word_index(len(Channel), self.rank)
        self._words[flag] = 1
        self._full_fence()  # store, then load, as in ``publish``
        try:
            if len(awaited()) < count:
                return []
            return poller.poll(None if limit_s is None else limit_s * 1e3 + 1)
        finally:
            self._words[flag] = 0

    def _drain(self, fileno: int, poller: select.poll) -> None:
        rank = self._rank_by_fileno[fileno]
        try:
            is_open = bool(self._sockets[rank].recv(4096))
        except BlockingIOError:
            is_open = True
        except OSError:
            is_open = False
        if not is_open:
            poller.unregister(fileno)
            self._ended.add(rank)

    def _word_index(self, kind: int, rank: int) -> int:
        """Return the index of a word in the mapping. Each word has its own cache line.

        Args:
            kind: a channel, for that channel's counter, or ``len(Channel)`` for the sleep flag.
            rank: the rank that writes the word.
        """
        return (kind * self.size + rank) * (_LINE_BYTES // _WORD_BYTES)


def _header_bytes(size: int) -> int:
    used = (len(Channel) + 1) * size * _LINE_BYTES
    return used + -used % mmap.PAGESIZE


def total_bytes(size: int) -> int:
    """Return the mapping's size in bytes for ``size`` ranks."""
    return _header_bytes(size) + (SLOTS_EACH * (size + 1) + RING_SLOTS * size) * SLOT_BYTES


def is_supported() -> bool:
    """Return whether this machine has the memory order, system calls and fence that shared memory needs."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    try:
        new_full_fence()
    except OSError:
        return False
    return True
