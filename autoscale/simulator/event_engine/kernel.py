"""The event loop, compiled, and the three functions that Python calls."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from numpy.typing import NDArray

from autoscale.simulator.event_engine import pointers
from autoscale.simulator.event_engine.admission import call_arrives, drain_limbo, route
from autoscale.simulator.event_engine.event_heap import forget_first
from autoscale.simulator.event_engine.jit import compiled, entered, sources
from autoscale.simulator.event_engine.outcomes import wake
from autoscale.simulator.event_engine.replicas import (
    batch_done,
    call_expires,
    close_with_its_work,
    new_work,
    serve,
    set_idle,
)
from autoscale.simulator.event_engine.routing import close_replica, open_replica
from autoscale.simulator.event_engine.state import ARRIVED, BATCH_DONE, CALL_ARRIVES, CALL_EXPIRES

_SPARE = 64


@compiled
def _serve_woken(state: int) -> None:
    clock = pointers.clock(state)
    while clock.woken:
        clock.woken -= 1
        r = pointers.wakes(state)[clock.woken]
        pointers.replicas(state)[r].woken = 0
        serve(state, r)


@compiled
def has_room(state: int) -> bool:
    """Return whether there are enough free records for the next event, whatever it is."""
    need = 2 * len(pointers.replicas(state)) + _SPARE
    clock = pointers.clock(state)
    return bool(clock.free_works > need and len(pointers.heap(state)) - clock.heap > need)


@compiled
def _process_event(state: int) -> None:
    event, works = pointers.heap(state)[0], pointers.works(state)
    kind, index, stamp = event.kind, event.index, event.stamp
    pointers.clock(state).now_s = event.at_s
    forget_first(state)
    if kind in (BATCH_DONE, CALL_ARRIVES, CALL_EXPIRES):
        if works[index].stamp != stamp:
            return
        pointers.clock(state).events += 1
        if kind == BATCH_DONE:
            batch_done(state, index)
        elif kind == CALL_ARRIVES:
            call_arrives(state, index)
        else:
            call_expires(state, index)
    elif pointers.replicas(state)[index].stamp == stamp:
        set_idle(state, index)
        wake(state, index)
    _serve_woken(state)


@compiled
def _advance(
    state: int, until_s: float, times_s: NDArray[Any], candidates: NDArray[Any], position: int
) -> int:
    clock, count = pointers.clock(state), len(times_s)
    while has_room(state):
        arrival_s = times_s[position] if position < count else until_s + 1
        if clock.heap and pointers.heap(state)[0].at_s <= arrival_s:
            if pointers.heap(state)[0].at_s > until_s:
                break
            _process_event(state)
        elif arrival_s < until_s:
            clock.now_s = arrival_s
            w = new_work(state, 0)
            work = pointers.works(state)[w]
            work.arrived_s, work.candidates, work.requests = arrival_s, candidates[position], 1
            position += 1
            clock.events += 1
            pointers.totals(state)[ARRIVED] += 1
            route(state, w, False)
            _serve_woken(state)
        else:
            break
    else:
        return position
    clock.now_s = until_s
    return position


class Entries(NamedTuple):
    """The compiled functions that Python calls.

    Attributes:
        advance: ``advance(state, until_s, times_s, candidates, position)`` processes all events up to ``until_s``. It
            returns the position of the first request that has not arrived. If ``clock.now_s`` is not ``until_s``
            afterwards, the engine needs room for more records.
        opened: ``opened(state, r)`` starts routing to the replica r.
        closed: ``closed(state, r, dies)`` stops routing to the replica r. If the replica dies, its work ends.
    """

    advance: Callable[[int, float, NDArray[Any], NDArray[Any], int], int]
    opened: Callable[[int, int], None]
    closed: Callable[[int, int, bool], None]


@cache
def entries() -> Entries:
    """Return the compiled functions, from the cache on disk if possible."""
    version = sources(__name__)  # closed over, see ``entered``

    def advance(
        state: int, until_s: float, times_s: NDArray[Any], candidates: NDArray[Any], position: int
    ) -> int:
        return _advance(state, until_s, times_s, candidates, position) if version else 0

    def opened(state: int, r: int) -> None:
        if version:
            open_replica(state, r)
            drain_limbo(state, pointers.keys(state)[pointers.replicas(state)[r].key].unit)
            _serve_woken(state)

    def closed(state: int, r: int, dies: bool) -> None:
        if version:
            close_replica(state, r)
            if dies:
                close_with_its_work(state, r)
                _serve_woken(state)

    return Entries(entered(advance), entered(opened), entered(closed))
