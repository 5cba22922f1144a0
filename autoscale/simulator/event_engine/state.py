"""The state of the event engine: arrays of records that compiled code reads and writes, and Python looks at.

A *work* is an entry of a queue, as in ``services/scheduling/batcher.py``: of level 0 a request, of level u + 1 a batch
that a replica of unit u has formed, which is the call that it sends to unit u + 1. Lists are threaded through the
records, so that nothing is allocated while the engine runs; -1 ends one.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from autoscale.simulator.event_engine.records import EVENT, REPLICA, TABLE, WORK

Records: TypeAlias = Any
"""A structured array; compiled code reads its fields as attributes of an element."""

FREE, QUEUED, HELD, MOVING = 0, 1, 2, 3
"""Of a work: unused; in a queue; in a batch under way; itself the batch that is computed or sent."""
CLOSED, OPEN = 0, 1
"""Of a replica: whether it is routed to."""
BATCH_DONE, CALL_ARRIVES, CALL_EXPIRES, THREAD_FREE = 0, 1, 2, 3
"""Of an event."""
ANSWERED, LATE, REFUSED, FAILED, LOST = 0, 1, 2, 3, 4
"""How a work ends. FAILED: where it was sent to died. LOST: the ingress replica that held it did."""
ARRIVED, IN_TIME, TOO_LATE, DEGRADED, SHED, DROPPED, GONE, LATENCY_S = range(8)
"""Indices of ``EngineState.totals``."""

BUCKETS, LEAST_S, PER_E = 2080, 1e-5, 100.0
"""Of the histogram of latencies: each is 1% wide, from 10 us to 3 hours."""


class EngineState(NamedTuple):
    """Everything, by kind.

    clock: (1,). opened: (keys, replicas), the open replicas of each key. rings: (keys, CONNECTIONS + 1), of its open
    replicas with so many connections the one to be chosen first. knots, knot_s: (keys, n), a batch's candidates and
    mean seconds; request_s: (keys,), seconds a request adds. draws: (keys, DRAWS), factors on the mean.
    expected_s, expected_at_s: (replicas, SIZES), what a batch is expected to take, and since when. The stacks hold
    works to be ended and replicas to be looked at. latencies: (BUCKETS,). totals: (8,).
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
        """Return (1,) what compiled code is called with the address of; good while these arrays live."""
        table = np.zeros(1, TABLE)
        table["unit_count"], table["key_count"] = len(self.units), len(self.keys)
        table["replica_count"], table["work_count"] = len(self.replicas), len(self.works)
        table["knot_count"] = self.knots.shape[1]
        for name, array in self._asdict().items():
            assert array.flags.c_contiguous
            table[name] = array.ctypes.data
        return table


def blank_works(count: int, first: int = 0) -> Records:
    """Return unused works ``first`` to ``first + count``, each linked to the next."""
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
    had = len(state.works)
    works = np.concatenate([state.works, blank_works(had, had)])
    works["next"][-1] = state.clock["free"][0]
    state.clock["free"][0] = had
    state.clock["free_works"][0] += had
    heap = np.concatenate([state.heap, np.zeros(len(state.heap), EVENT)])
    stack = np.concatenate([state.stack, np.zeros(had, np.int32)])
    return state._replace(works=works, heap=heap, stack=stack)


def with_more_replicas(state: EngineState) -> EngineState:
    """Return the state with room for twice the replicas."""
    had = len(state.replicas)
    return state._replace(
        replicas=np.concatenate([state.replicas, blank_replicas(had)]),
        opened=np.concatenate([state.opened, np.zeros_like(state.opened)], axis=1),
        expected_s=np.concatenate([state.expected_s, np.zeros_like(state.expected_s)]),
        expected_at_s=np.concatenate([state.expected_at_s, np.zeros_like(state.expected_at_s)]),
        wakes=np.concatenate([state.wakes, np.zeros(had, np.int32)]),
    )
