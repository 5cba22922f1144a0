"""Replicas, compiled: a replica forms a batch as soon as its model thread is idle, and sends calls to the next unit.

This module follows ``services/scheduling/runner.py`` and ``executor.py``.
"""

from autoscale.simulator.event_engine import pointers, rules
from autoscale.simulator.event_engine.admission import forget_expired
from autoscale.simulator.event_engine.event_heap import note
from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.outcomes import abandon, end, expected_s, size_of, wake
from autoscale.simulator.event_engine.queues import take
from autoscale.simulator.event_engine.records import DRAWS
from autoscale.simulator.event_engine.routing import random_below
from autoscale.simulator.event_engine.state import (
    ANSWERED,
    BATCH_DONE,
    CALL_ARRIVES,
    CALL_EXPIRES,
    FAILED,
    LATE,
    LOST,
    MOVING,
    QUEUED,
    THREAD_FREE,
)


@compiled
def new_work(state: int, level: int) -> int:
    """Return the index of a blank work. ``level`` is 0 for a request, and u + 1 for a batch of unit u."""
    clock = pointers.clock(state)
    w = clock.free
    work = pointers.works(state)[w]
    clock.free = work.next
    clock.free_works -= 1
    clock.stamp += 1
    work.stamp, work.level, work.state, work.orphan = clock.stamp, level, MOVING, 0
    work.next = work.prev = work.first = work.sibling = work.replica = work.sender = -1
    work.candidates = work.requests = 0
    return w  # type: ignore[no-any-return]


@compiled
def seconds(state: int, k: int, requests: int, candidates: int) -> float:
    """Return the mean batch time, interpolated between the profile's knots. Beyond the knots the last slope holds.

    Args:
        state: address of the engine's state.
        k: the key.
        requests: requests in the batch.
        candidates: candidates in the batch.
    """
    knots, times = pointers.knots(state)[k], pointers.knot_s(state)[k]
    last = len(knots) - 1
    i = 1
    while i < last and knots[i] < candidates:
        i += 1
    slope = (times[i] - times[i - 1]) / (knots[i] - knots[i - 1])
    mean: float = times[i - 1] + slope * (candidates - knots[i - 1]) + pointers.request_s(state)[k] * requests
    return max(mean, 1e-9)


@compiled
def serve(state: int, r: int) -> None:
    """Start an idle model thread's next work: pending work for the fallback, otherwise a batch."""
    replica, clock = pointers.replicas(state)[r], pointers.clock(state)
    key = pointers.keys(state)[replica.key]
    u = key.unit
    unit = pointers.units(state)[u]
    promises = bool(clock.promises and not u)
    while not replica.busy and replica.stamp >= 0:
        if replica.owed_s > 0:
            _keep_busy(state, r, replica.owed_s)
            replica.owed_s = 0.0
            return
        forget_expired(state, r)
        if replica.head < 0 or replica.in_flight >= unit.max_in_flight:
            return
        waiting = replica.waiting_candidates
        first, late = take(
            pointers.replicas(state),
            pointers.works(state),
            r,
            clock.now_s,
            rules.least_left_s(replica.batch_s, promises),
            unit.max_candidates,
        )
        key.waiting_candidates -= waiting - replica.waiting_candidates
        while late >= 0:
            after = pointers.works(state)[late].sibling
            if u:
                key.shed_requests += pointers.works(state)[late].requests
            end(state, late, LATE)
            late = after
        if first < 0:
            continue
        b = _batch_of(state, r, u, first)
        replica.in_flight += 1
        batch = pointers.works(state)[b]
        if promises and u == clock.units - 1 and not is_affordable(state, r, b):
            end(state, b, LATE)
            continue
        elapsed_s = seconds(state, replica.key, batch.requests, batch.candidates)
        elapsed_s *= pointers.draws(state)[replica.key, random_below(state, DRAWS)]
        elapsed_s *= 1 - key.relief * _idle_share(state, replica.key)
        # Requests are parsed and answered on the same cores, which makes batches slower.
        elapsed_s += key.overhead_cpu_s * batch.requests
        _occupy(state, r, elapsed_s)
        note(state, clock.now_s + elapsed_s, BATCH_DONE, b, batch.stamp)


@compiled
def _keep_busy(state: int, r: int, elapsed_s: float) -> None:
    _occupy(state, r, elapsed_s)
    note(state, pointers.clock(state).now_s + elapsed_s, THREAD_FREE, r, pointers.replicas(state)[r].stamp)


@compiled
def _occupy(state: int, r: int, elapsed_s: float) -> None:
    replica = pointers.replicas(state)[r]
    key = pointers.keys(state)[replica.key]
    replica.busy = 1
    key.running += 1
    key.busy_s += elapsed_s


@compiled
def set_idle(state: int, r: int) -> None:
    """Mark the model thread as idle."""
    replica = pointers.replicas(state)[r]
    pointers.keys(state)[replica.key].running -= replica.busy
    replica.busy = 0


@compiled
def _idle_share(state: int, k: int) -> float:
    """Return the share of a key's other replicas that are idle when a replica starts a batch.

    This is an approximation in two ways. All of the key's replicas count as if they were on the same node, and the
    share at the batch's start applies to the whole batch.
    """
    key = pointers.keys(state)[k]
    others = max(key.open - 1, key.neighbours)
    return max(0.0, 1 - key.running / others) if others else 0.0


@compiled
def _batch_of(state: int, r: int, u: int, first: int) -> int:
    b = new_work(state, u + 1)
    batch = pointers.works(state)[b]
    batch.sender, batch.first, batch.dispatched_s = r, first, pointers.clock(state).now_s
    batch.deadline_s = batch.arrived_s = 0.0
    w = first
    while w >= 0:
        work = pointers.works(state)[w]
        batch.candidates += work.candidates
        batch.requests += work.requests
        # A call waits as long as any of its requests can wait.
        batch.deadline_s = max(batch.deadline_s, work.deadline_s)
        w = work.sibling
    return b


@compiled
def is_affordable(state: int, r: int, b: int) -> bool:
    """Return whether the ranker is expected to meet a batch's deadline without making waiting requests late.

    The whole batch is judged by its most urgent request. No time is reserved for a later stage.
    """
    replica, clock, batch = pointers.replicas(state)[r], pointers.clock(state), pointers.works(state)[b]
    expected = expected_s(state, r, size_of(batch.candidates))
    until_s = pointers.works(state)[batch.first].deadline_s - clock.rescue_s
    if expected > rules.stage_left_s(until_s, clock.now_s, 0.0):
        return False
    behind = (
        replica.waiting_candidates
        / pointers.units(state)[pointers.keys(state)[replica.key].unit].max_candidates
    )
    share_s = rules.batch_share_s(clock.now_s - replica.refused_s, behind, clock.deadline_s)
    if share_s <= 0:
        return False
    return bool(expected <= share_s - (clock.now_s - batch.dispatched_s))


@compiled
def batch_done(state: int, b: int) -> None:
    """Process a computed batch: its requests are answered, or it becomes a call to the next unit."""
    clock, batch = pointers.clock(state), pointers.works(state)[b]
    if batch.orphan:  # its replica died
        end(state, b, LOST)
        return
    r = batch.sender
    replica = pointers.replicas(state)[r]
    key = pointers.keys(state)[replica.key]
    key.served_candidates += batch.candidates
    key.batches += 1
    set_idle(state, r)
    wake(state, r)
    if batch.level == clock.units:
        end(state, b, ANSWERED)
        return
    promises = clock.promises and batch.level == 1
    if promises and not is_affordable(state, r, b):
        end(state, b, LATE)
        return
    if promises:
        moment_s = pointers.works(state)[batch.first].deadline_s - clock.rescue_s
        fallback_s = clock.fallback_s * batch.candidates
        call_s = expected_s(state, r, size_of(batch.candidates))
        last_s = rules.call_until_s(moment_s, clock.now_s, fallback_s, call_s)
    else:
        last_s = batch.deadline_s
    hop_s = pointers.keys(state)[pointers.units(state)[batch.level].first_key].overhead_s
    note(state, last_s, CALL_EXPIRES, b, batch.stamp)
    note(state, clock.now_s + hop_s, CALL_ARRIVES, b, batch.stamp)


@compiled
def call_expires(state: int, w: int) -> None:
    """End a call because its requests no longer wait for it."""
    work = pointers.works(state)[w]
    if work.orphan:
        return
    if work.replica >= 0:
        pointers.keys(state)[pointers.replicas(state)[work.replica].key].shed_requests += work.requests
    if work.state == QUEUED:
        end(state, w, LATE)
    else:
        abandon(state, w, LATE)


@compiled
def close_with_its_work(state: int, r: int) -> None:
    """End all work that a dead replica has: queued, being computed, or sent elsewhere as calls."""
    replica, works = pointers.replicas(state)[r], pointers.works(state)
    outcome = FAILED if pointers.keys(state)[replica.key].unit else LOST
    while replica.head >= 0:
        end(state, replica.head, outcome)
    for b in range(len(works)):
        batch = works[b]
        if batch.state and batch.level and batch.sender == r and not batch.orphan:
            if batch.replica >= 0 and batch.state == QUEUED:
                end(state, b, outcome)
                continue
            abandon(state, b, outcome)
    replica.stamp = -1
    set_idle(state, r)
