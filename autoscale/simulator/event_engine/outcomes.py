"""How work ends, compiled. A request's answer is counted. A batch frees its slot, and its requests or calls end too."""

import numpy as np

from autoscale.serving_rules import SWEEP_PERIOD_S
from autoscale.simulator.event_engine import pointers, rules
from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.queues import leave
from autoscale.simulator.event_engine.records import SIZES
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
    TOO_LATE,
)

SWEEP_DELAY_S = SWEEP_PERIOD_S / 2
"""Mean delay of a sweep after a request's last moment."""
_KNOWN_HALF_LIFE_S = 10.0
"""Half-life of an expected batch time. The decay replaces a rung's probes, which are not simulated."""
_SLOWER_RATE, _FASTER_RATE = 0.5, 0.1
"""Weights of the newest batch time. They keep the expected time near the upper quantile that real replicas estimate."""


@compiled
def wake(state: int, r: int) -> None:
    """Mark the replica to be checked when the present event ends."""
    replica = pointers.replicas(state)[r]
    if not replica.woken:
        replica.woken = 1
        pointers.wakes(state)[pointers.clock(state).woken] = r
        pointers.clock(state).woken += 1


@compiled
def free(state: int, w: int) -> None:
    """Release a work's record."""
    work, clock = pointers.works(state)[w], pointers.clock(state)
    work.state, work.stamp, work.next = FREE, -1, clock.free
    clock.free = w
    clock.free_works += 1


@compiled
def disconnect(state: int, w: int) -> None:
    """End a work's connection to its replica, and remove the work from the replica's queue."""
    work = pointers.works(state)[w]
    r = work.replica
    if r < 0:
        return
    if work.state == QUEUED:
        leave(pointers.replicas(state), pointers.works(state), r, w)
        pointers.keys(state)[pointers.replicas(state)[r].key].waiting_candidates -= work.candidates
    connect(state, r, -1)
    work.replica = -1


@compiled
def _count_answer(state: int, total: int, latency_s: float) -> None:
    pointers.totals(state)[total] += 1
    pointers.totals(state)[LATENCY_S] += latency_s
    bucket = int(np.log(max(latency_s, LEAST_S) / LEAST_S) * PER_E)
    pointers.latencies(state)[min(bucket, BUCKETS - 1)] += 1


@compiled
def _end_request(state: int, w: int, outcome: int, cost_s: float) -> None:
    clock, work = pointers.clock(state), pointers.works(state)[w]
    clock.events += 1
    k = (
        pointers.replicas(state)[work.replica].key
        if work.replica >= 0
        else pointers.units(state)[0].first_key
    )
    key = pointers.keys(state)[k]
    moment_s = work.deadline_s - clock.rescue_s
    if outcome == ANSWERED and clock.now_s <= moment_s:
        latency_s = clock.now_s - work.arrived_s + key.overhead_s
        if latency_s > clock.objective_s:
            key.missed_requests += 1
        _count_answer(state, IN_TIME if latency_s <= clock.objective_s else TOO_LATE, latency_s)
        return
    key.shed_requests += 1
    if outcome in (ANSWERED, LATE, REFUSED):
        key.missed_requests += 1
    if outcome == LOST:
        pointers.totals(state)[GONE] += 1
    elif clock.promises:
        at_s = min(moment_s + SWEEP_DELAY_S, clock.now_s + cost_s)
        _count_answer(state, DEGRADED, max(0.0, at_s - work.arrived_s) + key.overhead_s)
    elif outcome in (ANSWERED, LATE):
        pointers.totals(state)[DROPPED] += 1
    elif outcome == REFUSED:
        pointers.totals(state)[SHED] += 1
    else:
        pointers.totals(state)[GONE] += 1


@compiled
def learn(state: int, r: int, w: int, outcome: int, cost_s: float) -> None:
    """Update the batch time estimates after a batch.

    The expected times by size approximate the estimates in ``services/scheduling/latency.py``.

    Args:
        state: address of the engine's state.
        r: the replica that sent the batch.
        w: the batch.
        outcome: how the batch ended.
        cost_s: additional time for the fallback.
    """
    clock, work, replica = pointers.clock(state), pointers.works(state)[w], pointers.replicas(state)[r]
    unit = pointers.units(state)[pointers.keys(state)[replica.key].unit]
    elapsed_s = clock.now_s + cost_s - work.dispatched_s
    promises = bool(clock.promises and work.level == 1)
    horizon_s = clock.deadline_s if work.level == 1 else np.inf
    replica.batch_s = rules.learned_batch_s(
        replica.batch_s, elapsed_s, work.candidates, unit.max_candidates, horizon_s, promises
    )
    if promises and outcome == ANSWERED:
        size = size_of(work.candidates)
        known_s = expected_s(state, r, size)
        known_s += (elapsed_s - known_s) * (_SLOWER_RATE if elapsed_s > known_s else _FASTER_RATE)
        pointers.expected_s(state)[r, size] = (
            elapsed_s if pointers.expected_s(state)[r, size] <= 0 else known_s
        )
        pointers.expected_at_s(state)[r, size] = clock.now_s


@compiled
def size_of(candidates: int) -> int:
    """Return the bucket for a batch size. The last bucket has all larger sizes."""
    return min(rules.size_bucket(candidates), SIZES - 1)


@compiled
def expected_s(state: int, r: int, size: int) -> float:
    """Return a batch's expected time, from the nearest size with an estimate. 0 if there is no estimate."""
    expected = pointers.expected_s(state)
    for away in range(SIZES):
        for known in (size + away, size - away):
            if 0 <= known < SIZES and expected[r, known] > 0:
                age_s = pointers.clock(state).now_s - pointers.expected_at_s(state)[r, known]
                proportional_s = rules.in_proportion_s(expected[r, known], known, size)
                return float(proportional_s * 2.0 ** (-age_s / _KNOWN_HALF_LIFE_S))
    return 0.0


@compiled
def end(state: int, first: int, outcome: int) -> None:
    """End a work, and all works that it consists of."""
    works = pointers.works(state)
    pointers.stack(state)[0] = first
    count = 1
    cost_s = 0.0
    while count:
        count -= 1
        w = pointers.stack(state)[count]
        work = works[w]
        if not work.level:
            _end_request(state, w, outcome, cost_s)
        elif not work.orphan:
            cost_s = _end_batch(state, w, outcome)
            child = work.first
            while child >= 0:
                pointers.stack(state)[count] = child
                count += 1
                child = works[child].sibling
        disconnect(state, w)
        free(state, w)


@compiled
def _end_batch(state: int, w: int, outcome: int) -> float:
    """Free the batch's slot at its sender, and return the time that the sender's fallback takes for the requests."""
    clock, work = pointers.clock(state), pointers.works(state)[w]
    r = work.sender
    replica = pointers.replicas(state)[r]
    replica.in_flight -= 1
    cost_s = 0.0
    if outcome != ANSWERED and work.level == 1 and clock.promises and outcome != LOST:
        cost_s = clock.fallback_s * work.candidates
        if clock.now_s + cost_s > work.deadline_s - clock.rescue_s:
            cost_s = 0.0  # the requests are answered from memory instead
        replica.owed_s += cost_s
    if outcome == ANSWERED or (clock.promises and work.level == 1):
        learn(state, r, w, outcome, cost_s)
    wake(state, r)
    return cost_s


@compiled
def abandon(state: int, w: int, outcome: int) -> None:
    """End a batch's requests while the batch is in progress elsewhere. The batch itself remains as an orphan."""
    works = pointers.works(state)
    work = works[w]
    cost_s = _end_batch(state, w, outcome)
    child = work.first
    if works[child].level:
        while child >= 0:
            after = works[child].sibling
            end(state, child, outcome)
            child = after
    else:
        while child >= 0:
            after = works[child].sibling
            _end_request(state, child, outcome, cost_s)
            disconnect(state, child)
            free(state, child)
            child = after
    work.first, work.orphan = -1, 1
    if work.replica >= 0:
        connect(state, work.replica, -1)
        work.replica = -1
