"""How works end, compiled: a request's answer is noted, a batch frees its place and ends what it is made of."""

import numpy as np

from autoscale.simulator.event_engine import pointers
from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.queues import leave
from autoscale.simulator.event_engine.routing import connect
from autoscale.simulator.event_engine.state import (
    ANSWERED,
    BUCKETS,
    DEGRADED,
    DROPPED,
    FREE,
    GONE,
    IN_TIME,
    LATE,
    LATENCY_S,
    LEAST_S,
    LOST,
    PER_E,
    QUEUED,
    REFUSED,
    SHED,
    SIZES,
    TOO_LATE,
)

SWEEP_S = 0.01
"""Half the period in which ``services/scheduling/runner.py`` looks for what is about to miss its deadline."""
_ALIKE, _RISING, _FALLING, _OUTLIER = 0.1, 0.1, 0.5, 8.0
"""As ``services/scheduling/admission.py`` learns."""


@compiled
def wake(world: int, r: int) -> None:
    """Have the replica looked at once this event is done with."""
    replica = pointers.replicas(world)[r]
    if not replica.woken:
        replica.woken = 1
        pointers.wakes(world)[pointers.clock(world).woken] = r
        pointers.clock(world).woken += 1


@compiled
def free(world: int, w: int) -> None:
    """Let the record be used again."""
    work, clock = pointers.works(world)[w], pointers.clock(world)
    work.state, work.stamp, work.next = FREE, -1, clock.free
    clock.free = w
    clock.free_works += 1


@compiled
def disconnect(world: int, w: int) -> None:
    """End work's connection to the replica it was sent to, and take it out of that one's queue."""
    work = pointers.works(world)[w]
    r = work.replica
    if r < 0:
        return
    if work.state == QUEUED:
        leave(pointers.replicas(world), pointers.works(world), r, w)
        pointers.keys(world)[pointers.replicas(world)[r].key].waiting_candidates -= work.candidates
    connect(world, r, -1)
    work.replica = -1


@compiled
def _answered(world: int, total: int, latency_s: float) -> None:
    pointers.totals(world)[total] += 1
    pointers.totals(world)[LATENCY_S] += latency_s
    bucket = int(np.log(max(latency_s, LEAST_S) / LEAST_S) * PER_E)
    pointers.latencies(world)[min(bucket, BUCKETS - 1)] += 1


@compiled
def _end_request(world: int, w: int, outcome: int, cost_s: float) -> None:
    clock, work = pointers.clock(world), pointers.works(world)[w]
    clock.events += 1
    k = (
        pointers.replicas(world)[work.replica].key
        if work.replica >= 0
        else pointers.units(world)[0].first_key
    )
    key = pointers.keys(world)[k]
    moment_s = work.deadline_s - clock.rescue_s
    if outcome == ANSWERED and clock.now_s <= moment_s:
        latency_s = clock.now_s - work.arrived_s + key.overhead_s
        if latency_s > clock.objective_s:
            key.missed_requests += 1
        _answered(world, IN_TIME if latency_s <= clock.objective_s else TOO_LATE, latency_s)
        return
    key.shed_requests += 1
    if outcome in (ANSWERED, LATE, REFUSED):
        key.missed_requests += 1
    if outcome == LOST:
        pointers.totals(world)[GONE] += 1
    elif clock.promises:
        at_s = min(moment_s + SWEEP_S, clock.now_s + cost_s)
        _answered(world, DEGRADED, max(0.0, at_s - work.arrived_s) + key.overhead_s)
    elif outcome in (ANSWERED, LATE):
        pointers.totals(world)[DROPPED] += 1
    elif outcome == REFUSED:
        pointers.totals(world)[SHED] += 1
    else:
        pointers.totals(world)[GONE] += 1


@compiled
def _learn(world: int, r: int, w: int, outcome: int, cost_s: float) -> None:
    """Learn what a batch took, as ``services/scheduling`` does in admission.py and, roughly, latency.py."""
    clock, work, replica = pointers.clock(world), pointers.works(world)[w], pointers.replicas(world)[r]
    unit = pointers.units(world)[pointers.keys(world)[replica.key].unit]
    elapsed_s = clock.now_s + cost_s - work.dispatched_s
    taken_s = elapsed_s / max(1.0, work.candidates / unit.max_candidates)
    if replica.batch_s > 0:
        taken_s = min(taken_s, _OUTLIER * replica.batch_s)
    change_s = taken_s - replica.batch_s
    promises = clock.promises and work.level == 1
    replica.batch_s += change_s * (_ALIKE if promises else _RISING if change_s > 0 else _FALLING)
    if promises and outcome == ANSWERED:
        size = size_of(work.candidates)
        known_s = expected_s(world, r, size)
        # Half of what is above and a tenth of what is below: near the upper quantile that the cluster keeps.
        known_s += (elapsed_s - known_s) * (0.5 if elapsed_s > known_s else 0.1)
        pointers.expected_s(world)[r, size] = (
            elapsed_s if pointers.expected_s(world)[r, size] <= 0 else known_s
        )
        pointers.expected_at_s(world)[r, size] = clock.now_s


@compiled
def size_of(candidates: int) -> int:
    """Give the power of two that a batch's size falls into."""
    size = 0
    while candidates and size < SIZES - 1:
        candidates >>= 1
        size += 1
    return size


@compiled
def expected_s(world: int, r: int, size: int) -> float:
    """Give what a batch of the size would take; 0 where nothing is known. As ``services/scheduling/latency.py``."""
    expected = pointers.expected_s(world)
    for away in range(SIZES):
        for known in (size + away, size - away):
            if 0 <= known < SIZES and expected[r, known] > 0:
                halvings = (pointers.clock(world).now_s - pointers.expected_at_s(world)[r, known]) / 10.0
                value: float = expected[r, known] * 2.0 ** (max(0, size - known) - halvings)
                return value
    return 0.0


@compiled
def end(world: int, first: int, outcome: int) -> None:
    """End work, and all that it is made of."""
    works = pointers.works(world)
    pointers.stack(world)[0] = first
    count = 1
    cost_s = 0.0
    while count:
        count -= 1
        w = pointers.stack(world)[count]
        work = works[w]
        if not work.level:
            _end_request(world, w, outcome, cost_s)
        elif not work.orphan:
            cost_s = _end_batch(world, w, outcome)
            child = work.first
            while child >= 0:
                pointers.stack(world)[count] = child
                count += 1
                child = works[child].sibling
        disconnect(world, w)
        free(world, w)


@compiled
def _end_batch(world: int, w: int, outcome: int) -> float:
    """Free the batch's place at its sender; give what its requests wait for the fallback there."""
    clock, work = pointers.clock(world), pointers.works(world)[w]
    r = work.sender
    replica = pointers.replicas(world)[r]
    replica.in_flight -= 1
    cost_s = 0.0
    if outcome != ANSWERED and work.level == 1 and clock.promises and outcome != LOST:
        cost_s = clock.fallback_s * work.candidates
        if clock.now_s + cost_s > work.deadline_s - clock.rescue_s:
            cost_s = 0.0  # from memory, then
        replica.owed_s += cost_s
    if outcome == ANSWERED or (clock.promises and work.level == 1):
        _learn(world, r, w, outcome, cost_s)
    wake(world, r)
    return cost_s


@compiled
def abandon(world: int, w: int, outcome: int) -> None:
    """End what a batch is made of while it is still somewhere: whoever has it finds nobody waiting."""
    works = pointers.works(world)
    work = works[w]
    cost_s = _end_batch(world, w, outcome)
    child = work.first
    if works[child].level:
        while child >= 0:
            after = works[child].sibling
            end(world, child, outcome)
            child = after
    else:
        while child >= 0:
            after = works[child].sibling
            _end_request(world, child, outcome, cost_s)
            disconnect(world, child)
            free(world, child)
            child = after
    work.first, work.orphan = -1, 1
    if work.replica >= 0:
        connect(world, work.replica, -1)
        work.replica = -1
