"""Access to the engine's state from compiled code, through one address: a table that lists all array addresses.

With a tuple of twenty arrays, numba would count references to each array in every function call. That took longer than
the simulation itself, and compilation took minutes. The caller keeps the arrays alive (``state.EngineState``).
"""

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.records import (
    CLOCK,
    CONNECTIONS,
    DRAWS,
    EVENT,
    KEY,
    REPLICA,
    SIZES,
    TABLE,
    UNIT,
    WORK,
)
from autoscale.simulator.event_engine.state import BUCKETS, LATENCY_S, Records


def _typed_pointer(typing_context: Any, address: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), lower


_pointer: Any = intrinsic(_typed_pointer)

_TABLE, _CLOCK, _UNIT, _KEY, _REPLICA, _WORK, _EVENT = (
    np.dtype(d) for d in (TABLE, CLOCK, UNIT, KEY, REPLICA, WORK, EVENT)
)
_FLOAT, _INT, _SHORT = np.float64, np.int64, np.int32


@compiled
def _table(state: int) -> Records:
    return carray(_pointer(state), (1,), _TABLE)[0]


@compiled
def clock(state: int) -> Records:
    """Return the clock record. There is only one."""
    return carray(_pointer(_table(state).clock), (1,), _CLOCK)[0]


@compiled
def units(state: int) -> Records:
    """Return (units,) unit records."""
    return carray(_pointer(_table(state).units), (_table(state).unit_count,), _UNIT)


@compiled
def keys(state: int) -> Records:
    """Return (keys,) key records."""
    return carray(_pointer(_table(state).keys), (_table(state).key_count,), _KEY)


@compiled
def replicas(state: int) -> Records:
    """Return (replicas,) replica records."""
    return carray(_pointer(_table(state).replicas), (_table(state).replica_count,), _REPLICA)


@compiled
def works(state: int) -> Records:
    """Return (works,) work records."""
    return carray(_pointer(_table(state).works), (_table(state).work_count,), _WORK)


@compiled
def heap(state: int) -> Records:
    """Return (works,) event records."""
    return carray(_pointer(_table(state).heap), (_table(state).work_count,), _EVENT)


@compiled
def opened(state: int) -> Any:
    """Return (keys, replicas), each key's open replicas."""
    table = _table(state)
    return carray(_pointer(table.opened), (table.key_count, table.replica_count), _SHORT)


@compiled
def rings(state: int) -> Any:
    """Return (keys, CONNECTIONS + 1), each ring's first replica."""
    table = _table(state)
    return carray(_pointer(table.rings), (table.key_count, CONNECTIONS + 1), _SHORT)


@compiled
def knots(state: int) -> Any:
    """Return (keys, knots), candidates."""
    table = _table(state)
    return carray(_pointer(table.knots), (table.key_count, table.knot_count), _FLOAT)


@compiled
def knot_s(state: int) -> Any:
    """Return (keys, knots), mean batch seconds."""
    table = _table(state)
    return carray(_pointer(table.knot_s), (table.key_count, table.knot_count), _FLOAT)


@compiled
def request_s(state: int) -> Any:
    """Return (keys,), seconds per request."""
    return carray(_pointer(_table(state).request_s), (_table(state).key_count,), _FLOAT)


@compiled
def draws(state: int) -> Any:
    """Return (keys, DRAWS), factors on mean batch times."""
    return carray(_pointer(_table(state).draws), (_table(state).key_count, DRAWS), _FLOAT)


@compiled
def expected_s(state: int) -> Any:
    """Return (replicas, SIZES), expected batch seconds."""
    return carray(_pointer(_table(state).expected_s), (_table(state).replica_count, SIZES), _FLOAT)


@compiled
def expected_at_s(state: int) -> Any:
    """Return (replicas, SIZES), when ``expected_s`` was last updated."""
    return carray(_pointer(_table(state).expected_at_s), (_table(state).replica_count, SIZES), _FLOAT)


@compiled
def stack(state: int) -> Any:
    """Return (works,), a stack of works to end."""
    return carray(_pointer(_table(state).stack), (_table(state).work_count,), _SHORT)


@compiled
def wakes(state: int) -> Any:
    """Return (replicas,), a stack of replicas to check."""
    return carray(_pointer(_table(state).wakes), (_table(state).replica_count,), _SHORT)


@compiled
def latencies(state: int) -> Any:
    """Return (BUCKETS,), the latency histogram."""
    return carray(_pointer(_table(state).latencies), (BUCKETS,), _INT)


@compiled
def totals(state: int) -> Any:
    """Return (8,), totals by outcome."""
    return carray(_pointer(_table(state).totals), (LATENCY_S + 1,), _FLOAT)
