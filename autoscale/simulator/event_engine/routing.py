"""Routing, compiled: chooses a pool by weight, and a replica in the pool as the cluster does.

- The pool is chosen by smooth weighted round robin over candidates, as in ``services/units/router.py``.
- A request to an ingress goes to the replica with the fewest connections, in turn among equals. This is HAProxy's
  leastconn, Serve's default (``RAY_SERVE_HAPROXY_BALANCE_ALGORITHM``).
- A call to a unit behind the ingress goes to the less busy of two random replicas, by number of calls. This is
  Serve's power of two choices. Queue lengths are exact here, while an ingress replica knows only its own calls.
"""

import numpy as np

from autoscale.simulator.event_engine import pointers
from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.records import CONNECTIONS


@compiled
def random_below(state: int, count: int) -> int:
    """Return a random number from 0 to ``count`` - 1, by xorshift64* (Vigna 2016)."""
    clock = pointers.clock(state)
    bits = clock.random
    bits ^= bits >> np.uint64(12)
    bits ^= bits << np.uint64(25)
    bits ^= bits >> np.uint64(27)
    clock.random = bits
    mixed = (bits * np.uint64(2685821657736338717)) >> np.uint64(33)
    return int(np.int64(mixed) % count)


@compiled
def choose_key(state: int, u: int, candidates: int) -> int:
    """Return unit ``u``'s key for the next work, or -1 if no key has open replicas."""
    unit, keys = pointers.units(state)[u], pointers.keys(state)
    if unit.keys == 1:
        return unit.first_key if keys[unit.first_key].open else -1
    total, weighed, able = 0.0, 0, -1
    for k in range(unit.first_key, unit.first_key + unit.keys):
        if keys[k].open:
            able = k if able < 0 else able
            if keys[k].weight > 0:
                total += keys[k].weight
                weighed += 1
    if not weighed:
        return able
    chosen, most = -1, 0.0
    for k in range(unit.first_key, unit.first_key + unit.keys):
        key = keys[k]
        if key.open and key.weight > 0:
            key.credit += candidates * key.weight / total
            if chosen < 0 or key.credit > most:
                chosen, most = k, key.credit
    keys[chosen].credit -= candidates
    return chosen


@compiled
def choose_replica(state: int, k: int) -> int:
    """Return the replica for a key's next work. The key must have open replicas."""
    key = pointers.keys(state)[k]
    if not key.unit:
        return int(pointers.rings(state)[k, key.least])
    if key.open == 1:
        return int(pointers.opened(state)[k, 0])
    i = random_below(state, key.open)
    j = random_below(state, key.open - 1)
    if j >= i:
        j += 1
    one, other = pointers.opened(state)[k, i], pointers.opened(state)[k, j]
    fewer = pointers.replicas(state)[other].connections < pointers.replicas(state)[one].connections
    return int(other) if fewer else int(one)


@compiled
def _out_of_ring(state: int, r: int) -> None:
    replicas, rings = pointers.replicas(state), pointers.rings(state)
    replica = replicas[r]
    count = min(replica.connections, CONNECTIONS)
    if replica.after == r:
        rings[replica.key, count] = -1
    else:
        replicas[replica.before].after = replica.after
        replicas[replica.after].before = replica.before
        if rings[replica.key, count] == r:
            rings[replica.key, count] = replica.after
    replica.before = replica.after = -1


@compiled
def _into_ring(state: int, r: int) -> None:
    replicas, rings = pointers.replicas(state), pointers.rings(state)
    replica = replicas[r]
    count = min(replica.connections, CONNECTIONS)
    first = rings[replica.key, count]
    if first < 0:
        rings[replica.key, count] = r
        replica.before = replica.after = r
    else:
        last = replicas[first].before
        replica.before, replica.after = last, first
        replicas[last].after = r
        replicas[first].before = r


@compiled
def connect(state: int, r: int, change: int) -> None:
    """Change a replica's number of connections by ``change``."""
    replica = pointers.replicas(state)[r]
    key = pointers.keys(state)[replica.key]
    now_s = pointers.clock(state).now_s
    key.ongoing_s += key.ongoing * (now_s - key.ongoing_at_s)
    key.ongoing_at_s = now_s
    key.ongoing += change
    if key.unit or replica.open_index < 0:
        replica.connections += change
        return
    _out_of_ring(state, r)
    replica.connections += change
    _into_ring(state, r)
    key.least = min(key.least, replica.connections)
    _find_least(state, replica.key)


@compiled
def _find_least(state: int, k: int) -> None:
    key = pointers.keys(state)[k]
    while key.open and pointers.rings(state)[k, key.least] < 0:
        key.least = key.least + 1 if key.least < CONNECTIONS else 0


@compiled
def open_replica(state: int, r: int) -> None:
    """Start routing to a replica."""
    replica = pointers.replicas(state)[r]
    key = pointers.keys(state)[replica.key]
    replica.open_index = key.open
    pointers.opened(state)[replica.key, key.open] = r
    key.open += 1
    if not key.unit:
        _into_ring(state, r)
        key.least = 0
        _find_least(state, replica.key)


@compiled
def close_replica(state: int, r: int) -> None:
    """Stop routing to a replica."""
    replica = pointers.replicas(state)[r]
    k = replica.key
    key = pointers.keys(state)[k]
    if replica.open_index < 0:
        return
    key.open -= 1
    last = pointers.opened(state)[k, key.open]
    pointers.opened(state)[k, replica.open_index] = last
    pointers.replicas(state)[last].open_index = replica.open_index
    replica.open_index = -1
    if not key.unit:
        _out_of_ring(state, r)
        _find_least(state, k)
