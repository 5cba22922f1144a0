"""Admission, compiled: work is routed to a replica, which queues or refuses it. Expired work is removed."""

import numpy as np

from autoscale.simulator.event_engine import pointers, rules
from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.outcomes import disconnect, end, free, wake
from autoscale.simulator.event_engine.queues import batches_ahead, leave, offer
from autoscale.simulator.event_engine.routing import choose_key, choose_replica, connect
from autoscale.simulator.event_engine.state import LATE, REFUSED, SHED


@compiled
def route(state: int, w: int, again: bool) -> None:
    """Send a request or call to a replica of its unit, or to the unit's limbo if no replica is open.

    The limbo is the queue in which work waits for the unit's first replica.

    Args:
        state: address of the engine's state.
        w: the work.
        again: whether the work comes from the limbo. Then it is not counted again.
    """
    clock, work = pointers.clock(state), pointers.works(state)[w]
    u = work.level
    unit = pointers.units(state)[u]
    k = choose_key(state, u, work.candidates)
    r = u if k < 0 else choose_replica(state, k)
    key = pointers.keys(state)[pointers.replicas(state)[r].key]
    if not again:
        key.arrived_requests += work.requests
        key.arrived_candidates += work.candidates
    work.replica = r
    connect(state, r, 1)
    if not u:
        # The ingress sets the deadline. A request in the limbo has none yet.
        work.deadline_s = np.inf if k < 0 else clock.now_s + clock.deadline_s
    if k >= 0:
        forget_expired(state, r)
    refused = k >= 0 and refuses(state, r, work.deadline_s)
    if refused and rules.shows_overload(0, work.deadline_s - clock.now_s, clock.deadline_s):
        pointers.replicas(state)[r].refused_s = clock.now_s
    if refused or not offer(pointers.replicas(state), pointers.works(state), r, w, unit.max_waiting):
        if not u:
            pointers.totals(state)[SHED] += 1
            clock.events += 1
            key.shed_requests += 1
            key.missed_requests += 1
            disconnect(state, w)
            free(state, w)
        else:
            key.shed_requests += work.requests
            end(state, w, REFUSED)
        return
    key.waiting_candidates += work.candidates
    if k >= 0:
        wake(state, r)


@compiled
def drain_limbo(state: int, u: int) -> None:
    """Route all work that waited for the unit's first replica."""
    limbo = pointers.replicas(state)[u]
    count = limbo.waiting_works
    key = pointers.keys(state)[limbo.key]
    for _ in range(count):
        w = limbo.head
        work = pointers.works(state)[w]
        leave(pointers.replicas(state), pointers.works(state), u, w)
        key.waiting_candidates -= work.candidates
        connect(state, u, -1)
        work.replica = -1
        route(state, w, True)


@compiled
def call_arrives(state: int, b: int) -> None:
    """Route a call that arrives, if its sender still waits for it."""
    if pointers.works(state)[b].orphan:
        end(state, b, LATE)
    else:
        route(state, b, False)


@compiled
def refuses(state: int, r: int, deadline_s: float) -> bool:
    """Return whether a replica refuses a request with this deadline now."""
    replica, clock = pointers.replicas(state)[r], pointers.clock(state)
    u = pointers.keys(state)[replica.key].unit
    unit = pointers.units(state)[u]
    batches = batches_ahead(
        pointers.replicas(state), pointers.works(state), r, deadline_s, unit.max_candidates
    )
    left_s, promises = deadline_s - clock.now_s, bool(clock.promises and not u)
    return rules.is_refused(batches, replica.batch_s, unit.max_in_flight, left_s, promises)


@compiled
def forget_expired(state: int, r: int) -> None:
    """Remove work from the queue if the runner answered or refused it while it waited."""
    replica, clock = pointers.replicas(state)[r], pointers.clock(state)
    while replica.head >= 0:
        work = pointers.works(state)[replica.head]
        before_s = 0.0 if work.level else clock.rescue_s
        if work.deadline_s - before_s > clock.now_s:
            return
        if work.level:
            pointers.keys(state)[replica.key].shed_requests += work.requests
        end(state, replica.head, LATE)
