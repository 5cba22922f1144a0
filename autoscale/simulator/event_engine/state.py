"""The state of the event engine: arrays of records that compiled code reads and writes, and Python looks at.

A *work* is an entry of a queue, as in ``services/scheduling/batcher.py``: of level 0 a request, of level u + 1 a batch
that a replica of unit u has formed, which is the call that it sends to unit u + 1. Lists are threaded through the
records, so that nothing is allocated while the engine runs; -1 ends one.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

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
CONNECTIONS = 4096
"""As many are told apart when the replica with the fewest is sought."""
DRAWS = 4096
"""Quantiles of a batch's time, drawn at random."""
SIZES = 24
"""Powers of two that batches' sizes are told apart by."""

UNIT = np.dtype(
    [
        ("max_candidates", "i8"),
        ("max_waiting", "i8"),
        ("max_in_flight", "i8"),
        ("first_key", "i4"),
        ("keys", "i4"),
    ],
    align=True,
)
KEY = np.dtype(
    [
        ("unit", "i4"),
        ("open", "i4"),
        ("running", "i4"),
        ("neighbours", "i4"),
        ("least", "i4"),
        ("overhead_s", "f8"),
        ("overhead_cpu_s", "f8"),
        ("relief", "f8"),
        ("weight", "f8"),
        ("credit", "f8"),
        ("arrived_requests", "i8"),
        ("arrived_candidates", "i8"),
        ("served_candidates", "i8"),
        ("shed_requests", "i8"),
        ("missed_requests", "i8"),
        ("waiting_candidates", "i8"),
        ("batches", "i8"),
        ("busy_s", "f8"),
        ("ongoing", "i8"),
        ("ongoing_s", "f8"),
        ("ongoing_at_s", "f8"),
    ],
    align=True,
)
REPLICA = np.dtype(
    [
        ("key", "i4"),
        ("state", "i4"),
        ("busy", "i4"),
        ("woken", "i4"),
        ("in_flight", "i4"),
        ("open_index", "i4"),
        ("connections", "i4"),
        ("before", "i4"),
        ("after", "i4"),
        ("head", "i4"),
        ("tail", "i4"),
        ("waiting_works", "i4"),
        ("waiting_candidates", "i8"),
        ("batch_s", "f8"),
        ("owed_s", "f8"),
        ("refused_s", "f8"),
        ("stamp", "i8"),
    ],
    align=True,
)
WORK = np.dtype(
    [
        ("arrived_s", "f8"),
        ("deadline_s", "f8"),
        ("dispatched_s", "f8"),
        ("stamp", "i8"),
        ("candidates", "i4"),
        ("requests", "i4"),
        ("level", "i4"),
        ("state", "i4"),
        ("orphan", "i4"),
        ("replica", "i4"),
        ("sender", "i4"),
        ("next", "i4"),
        ("prev", "i4"),
        ("first", "i4"),
        ("sibling", "i4"),
    ],
    align=True,
)
EVENT = np.dtype(
    [("at_s", "f8"), ("order", "i8"), ("stamp", "i8"), ("kind", "i4"), ("index", "i4")], align=True
)
CLOCK = np.dtype(
    [
        ("now_s", "f8"),
        ("stamp", "i8"),
        ("events", "i8"),
        ("heap", "i8"),
        ("free", "i4"),
        ("free_works", "i8"),
        ("woken", "i8"),
        ("random", "u8"),
        ("units", "i4"),
        ("promises", "i4"),
        ("deadline_s", "f8"),
        ("rescue_s", "f8"),
        ("objective_s", "f8"),
        ("fallback_s", "f8"),
    ],
    align=True,
)
TABLE = np.dtype(
    [(name, "i8") for name in ("unit_count", "key_count", "replica_count", "work_count", "knot_count")]
    + [
        (name, "i8")
        for name in (
            "clock",
            "units",
            "keys",
            "replicas",
            "works",
            "heap",
            "opened",
            "rings",
            "knots",
            "knot_s",
            "request_s",
            "draws",
            "expected_s",
            "expected_at_s",
            "stack",
            "wakes",
            "latencies",
            "totals",
        )
    ]
)
"""Lengths, then the addresses of ``EngineState``'s arrays."""


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
        """Give (1,) what compiled code is called with the address of; good while these arrays live."""
        table = np.zeros(1, TABLE)
        table["unit_count"], table["key_count"] = len(self.units), len(self.keys)
        table["replica_count"], table["work_count"] = len(self.replicas), len(self.works)
        table["knot_count"] = self.knots.shape[1]
        for name, array in self._asdict().items():
            assert array.flags.c_contiguous
            table[name] = array.ctypes.data
        return table


def blank_works(count: int, first: int = 0) -> Records:
    """Give unused works ``first`` to ``first + count``, each linked to the next."""
    works = np.zeros(count, WORK)
    works["next"] = np.arange(first + 1, first + count + 1)
    works["next"][-1] = -1
    works["replica"] = works["sender"] = works["first"] = works["sibling"] = works["prev"] = -1
    return works


def blank_replicas(count: int) -> Records:
    """Give unused replicas."""
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
