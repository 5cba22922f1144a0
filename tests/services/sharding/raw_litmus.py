"""The shared-memory transport's two memory-order patterns, in compiled loops of two threads.

The memory order between processes is the same as between threads. Between its loads and stores a loop calls a C
function that does nothing. The compiler cannot reorder them across such a call, but the processor can.
"""

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np

from services.sharding.fence import ATOMIC_ADD, LIBRARY

_ROUNDS = 10_000
_LINE_WORDS = 8
_SPINS_PER_YIELD = 1000
_MOST_SPINS = 300_000_000
"""The most spins in one run. They take some seconds. After them a thread continues without the other."""


@dataclass(frozen=True)
class RawResult:
    """Counts of all rounds, and of rounds in which memory was out of order."""

    rounds: int
    violations: int


def store_buffering(seconds: float, *, fenced: bool) -> RawResult:
    """Let each thread store to its own word, then load the other thread's word.

    With fences at least one of the two must see the other's store. It is a violation if both read 0.
    """
    between = _c_function(LIBRARY, ATOMIC_ADD) if fenced else _nothing()
    rounds = violations = 0
    until_s = time.monotonic() + seconds
    while rounds == 0 or time.monotonic() < until_s:
        words = np.zeros((2, _ROUNDS, _LINE_WORDS), dtype=np.uint64)
        ready = np.zeros((2, _LINE_WORDS), dtype=np.uint64)
        seen = np.ones((2, _ROUNDS), dtype=np.uint64)
        added = np.zeros((2, 2 * _LINE_WORDS), dtype=np.int32)
        _in_two_threads(partial(_store_then_load, words, ready, seen, added, between, _nothing(), _yield()))
        rounds += _ROUNDS
        violations += int(((seen[0] == 0) & (seen[1] == 0)).sum())
    return RawResult(rounds, violations)


def message_passing(seconds: float) -> RawResult:
    """Let one thread store data, then a counter, and the other load the counter, then the data, without a fence.

    It is a violation if the data is older than the counter.
    """
    rounds = violations = 0
    until_s = time.monotonic() + seconds
    while rounds == 0 or time.monotonic() < until_s:
        words = np.zeros((2, _LINE_WORDS), dtype=np.uint64)
        stale = np.zeros(1, dtype=np.int64)
        _in_two_threads(partial(_pass_messages, words, stale, _nothing()))
        rounds += _ROUNDS
        violations += int(stale[0])
    return RawResult(rounds, violations)


@numba.njit(nogil=True)
def _store_then_load(
    words: Any, ready: Any, seen: Any, added: Any, between: Any, nothing: Any, yield_cpu: Any, side: int
) -> None:
    own, other, spins = words[side], words[1 - side], 0
    address = added[side].ctypes
    for i in range(len(own)):
        ready[side, 0] = i + 1
        while ready[1 - side, 0] < i + 1 and spins < _MOST_SPINS:
            nothing(address, 0)
            spins += 1
            if spins % _SPINS_PER_YIELD == 0:
                yield_cpu(address, 0)
        own[i, 0] = 1
        between(address, 1)
        seen[side, i] = other[i, 0]


@numba.njit(nogil=True)
def _pass_messages(words: Any, stale: Any, nothing: Any, side: int) -> None:
    address, spins = stale.ctypes, 0
    if side == 0:
        for i in range(_ROUNDS):
            words[0, 0] = i + 1  # data
            nothing(address, 0)
            words[1, 0] = i + 1  # counter
            nothing(address, 0)
        return
    counter = 0
    while counter < _ROUNDS and spins < _MOST_SPINS:
        counter = words[1, 0]
        nothing(address, 0)
        stale[0] += words[0, 0] < counter
        spins += 1


def _in_two_threads(run: Callable[[int], object]) -> None:
    threads = [threading.Thread(target=run, args=(side,)) for side in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _c_function(library: str | None, name: str) -> Any:
    function = ctypes.CDLL(library)[name]
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_int], ctypes.c_int
    return function


def _nothing() -> Any:
    """Return a C function that neither loads nor stores. It takes the same arguments as the fence."""
    return _c_function(None, "ffs")


def _yield() -> Any:
    """Return a C function that lets another thread use the processor."""
    return _c_function(None, "sched_yield")
