"""The event loop, compiled, and its three entries; Python is asked again only between them."""

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
    rest,
    serve,
)
from autoscale.simulator.event_engine.routing import close_replica, open_replica
from autoscale.simulator.event_engine.state import ARRIVED, BATCH_DONE, CALL_ARRIVES, CALL_EXPIRES

_SPARE = 64


@compiled
def _serve_woken(world: int) -> None:
    clock = pointers.clock(world)
    while clock.woken:
        clock.woken -= 1
        r = pointers.wakes(world)[clock.woken]
        pointers.replicas(world)[r].woken = 0
        serve(world, r)


@compiled
def has_room(world: int) -> bool:
    """Whether the next event cannot run out of records."""
    need = 2 * len(pointers.replicas(world)) + _SPARE
    clock = pointers.clock(world)
    return bool(clock.free_works > need and len(pointers.heap(world)) - clock.heap > need)


@compiled
def _happens(world: int) -> None:
    event, works = pointers.heap(world)[0], pointers.works(world)
    kind, index, stamp = event.kind, event.index, event.stamp
    pointers.clock(world).now_s = event.at_s
    forget_first(world)
    if kind in (BATCH_DONE, CALL_ARRIVES, CALL_EXPIRES):
        if works[index].stamp != stamp:
            return
        pointers.clock(world).events += 1
        if kind == BATCH_DONE:
            batch_done(world, index)
        elif kind == CALL_ARRIVES:
            call_arrives(world, index)
        else:
            call_expires(world, index)
    elif pointers.replicas(world)[index].stamp == stamp:
        rest(world, index)
        wake(world, index)
    _serve_woken(world)


@compiled
def _advance(
    world: int, until_s: float, times_s: NDArray[Any], candidates: NDArray[Any], position: int
) -> int:
    clock, count = pointers.clock(world), len(times_s)
    while has_room(world):
        arrival_s = times_s[position] if position < count else until_s + 1
        if clock.heap and pointers.heap(world)[0].at_s <= arrival_s:
            if pointers.heap(world)[0].at_s > until_s:
                break
            _happens(world)
        elif arrival_s < until_s:
            clock.now_s = arrival_s
            w = new_work(world, 0)
            work = pointers.works(world)[w]
            work.arrived_s, work.candidates, work.requests = arrival_s, candidates[position], 1
            position += 1
            clock.events += 1
            pointers.totals(world)[ARRIVED] += 1
            route(world, w, False)
            _serve_woken(world)
        else:
            break
    else:
        return position
    clock.now_s = until_s
    return position


class Entries(NamedTuple):
    """What Python calls.

    advance(world, until_s, times_s, candidates, position): handles all events before ``until_s`` and returns the
    position of the first request that has not come. If ``pointers.clock(world).now_s`` is not ``until_s`` then, it
    needs room. opened(world, r): routes to r. closed(world, r, dies): routes to it no more, and ends what it held.
    """

    advance: Callable[[int, float, NDArray[Any], NDArray[Any], int], int]
    opened: Callable[[int, int], None]
    closed: Callable[[int, int, bool], None]


@cache
def entries() -> Entries:
    """Compile, or find compiled."""
    version = sources(__name__)  # closed over, see ``entered``

    def advance(
        world: int, until_s: float, times_s: NDArray[Any], candidates: NDArray[Any], position: int
    ) -> int:
        return _advance(world, until_s, times_s, candidates, position) if version else 0

    def opened(world: int, r: int) -> None:
        if version:
            open_replica(world, r)
            drain_limbo(world, pointers.keys(world)[pointers.replicas(world)[r].key].unit)
            _serve_woken(world)

    def closed(world: int, r: int, dies: bool) -> None:
        if version:
            close_replica(world, r)
            if dies:
                close_with_its_work(world, r)
                _serve_woken(world)

    return Entries(entered(advance), entered(opened), entered(closed))
