"""The event engine's state: record arrays that compiled code reads and writes, and Python reads.

A *work* is a queue entry, as in ``services/scheduling/batcher.py``. A work with level 0 is a request. A work with level
u + 1 is a batch that a replica of unit u has formed. The batch becomes the call to unit u + 1. Lists are linked through
record fields, so that nothing is allocated while the engine runs. -1 ends a list.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from autoscale.simulator.event_engine.records import EVENT, REPLICA, TABLE, WORK

Records: TypeAlias = Any
"""A structured array. Compiled code accesses its fields as attributes of an element."""

FREE, QUEUED, HELD, MOVING = 0, 1, 2, 3
"""A work's states: unused, in a queue, part of a batch in progress, or in no queue.

The last is a new work, a batch that is computed or sent, or a work that has left its queue.
"""
CLOSED, OPEN = 0, 1
"""A replica's states. OPEN: the replica was started and occupies the slot. CLOSED: the slot was never used."""
BATCH_DONE, CALL_ARRIVES, CALL_EXPIRES, THREAD_FREE = 0, 1, 2, 3
"""Event kinds."""
ANSWERED, LATE, REFUSED, FAILED, LOST = 0, 1, 2, 3, 4
"""How a work ends. FAILED: the replica that received it died. LOST: the ingress replica that held it died."""
ARRIVED, IN_TIME, TOO_LATE, DEGRADED, SHED, DROPPED, GONE, LATENCY_S = range(8)
"""Indices of ``EngineState.totals``."""

BUCKETS, LEAST_S, PER_E = 2080, 1e-5, 100.0
"""The latency histogram. Each bucket is 1% wide, from 10 us to 3 hours."""


class EngineState(NamedTuple):
    """All arrays of the engine.

    Attributes:
        clock: (1,) time, counters and options.
        units: (units,) unit records.
        keys: (keys,) key records, with their counters.
        replicas: (replicas,) replica records.
        works: (works,) work records.
        heap: (works,) future events.
        opened: (keys, replicas) each key's open replicas.
        rings: (keys, CONNECTIONS + 1) for each number of connections, the next open replica with that number.
        knots: (keys, n) candidates in a batch.
        knot_s: (keys, n) mean seconds for a batch with these candidates.
        request_s: (keys,) additional seconds per request.
        draws: (keys, DRAWS) random factors on the mean.
        expected_s: (replicas, SIZES) expected batch seconds, by batch size.
        expected_at_s: (replicas, SIZES) when ``expected_s`` was last updated.
        stack: (works,) works to end.
        wakes: (replicas,) replicas to check when an event ends.
        latencies: (BUCKETS,) the latency histogram.
        totals: (8,) totals by outcome.
    """

    clock: Records
    units: Records
    keys: Records
    replicas: Records
    works: Records
    heap: Records
    opened: Any
    rings: Any
    knots: Any
    knot_s: Any
    request_s: Any
    draws: Any
    expected_s: Any
    expected_at_s: Any
    stack: Any
    wakes: Any
    latencies: Any
    totals: Any

    def table(self) -> Records:
        """Return (1,) the table of lengths and addresses for compiled code. It is valid while these arrays exist."""
        table = np.zeros(1, TABLE)
        table["unit_count"], table["key_count"] = len(self.units), len(self.keys)
        table["replica_count"], table["work_count"] = len(self.replicas), len(self.works)
        table["knot_count"] = self.knots.shape[1]
        for name, array in self._asdict().items():
            assert array.flags.c_contiguous
            table[name] = array.ctypes.data
        return table


def blank_works(count: int, first: int = 0) -> Records:
    """Return ``count`` unused works, each linked to the next. The first one has the index ``first``."""
    works = np.zeros(count, WORK)
    works["next"] = np.arange(first + 1, first + count + 1)
    works["next"][-1] = -1
    works["replica"] = works["sender"] = works["first"] = works["sibling"] = works["prev"] = -1
    return works


def blank_replicas(count: int) -> Records:
    """Return unused replicas."""
    replicas = np.zeros(count, REPLICA)
    for name in ("key", "open_index", "before", "after", "head", "tail"):
        replicas[name] = -1
    replicas["stamp"] = -1
    replicas["refused_s"] = -np.inf
    return replicas


def with_more_works(state: EngineState) -> EngineState:
    """Return the state with room for twice the works and events."""
    count = len(state.works)
    works = np.concatenate([state.works, blank_works(count, count)])
    works["next"][-1] = state.clock["free"][0]
    state.clock["free"][0] = count
    state.clock["free_works"][0] += count
    heap = np.concatenate([state.heap, np.zeros(len(state.heap), EVENT)])
    stack = np.concatenate([state.stack, np.zeros(count, np.int32)])
    return state._replace(works=works, heap=heap, stack=stack)


def with_more_replicas(state: EngineState) -> EngineState:
    """Return the state with room for twice the replicas."""
    count = len(state.replicas)
    return state._replace(
        replicas=np.concatenate([state.replicas, blank_replicas(count)]),
        opened=np.concatenate([state.opened, np.zeros_like(state.opened)], axis=1),
        expected_s=np.concatenate([state.expected_s, np.zeros_like(state.expected_s)]),
        expected_at_s=np.concatenate([state.expected_at_s, np.zeros_like(state.expected_at_s)]),
        wakes=np.concatenate([state.wakes, np.zeros(count, np.int32)]),
    )
