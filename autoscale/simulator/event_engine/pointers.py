"""How compiled code sees the world: by one address, behind which the addresses of its arrays stand.

A tuple of twenty arrays would be counted by reference, array by array, in every call of every function: that took
longer than the simulation, and compiling it minutes. Whoever calls in keeps the arrays alive (``state.World``).
"""

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from autoscale.simulator.event_engine import state as w
from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.state import Records


def _typed_pointer(typing_context: Any, address: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), lower


_pointer: Any = intrinsic(_typed_pointer)

_TABLE, _CLOCK, _UNIT, _KEY, _REPLICA, _WORK, _EVENT = (
    np.dtype(d) for d in (w.TABLE, w.CLOCK, w.UNIT, w.KEY, w.REPLICA, w.WORK, w.EVENT)
)
_FLOAT, _INT, _SHORT = np.float64, np.int64, np.int32


@compiled
def _table(world: int) -> Records:
    return carray(_pointer(world), (1,), _TABLE)[0]


@compiled
def clock(world: int) -> Records:
    """Give the one record of what there is one of."""
    return carray(_pointer(_table(world).clock), (1,), _CLOCK)[0]


@compiled
def units(world: int) -> Records:
    """Give (units,) records."""
    return carray(_pointer(_table(world).units), (_table(world).unit_count,), _UNIT)


@compiled
def keys(world: int) -> Records:
    """Give (keys,) records."""
    return carray(_pointer(_table(world).keys), (_table(world).key_count,), _KEY)


@compiled
def replicas(world: int) -> Records:
    """Give (replicas,) records."""
    return carray(_pointer(_table(world).replicas), (_table(world).replica_count,), _REPLICA)


@compiled
def works(world: int) -> Records:
    """Give (works,) records."""
    return carray(_pointer(_table(world).works), (_table(world).work_count,), _WORK)


@compiled
def heap(world: int) -> Records:
    """Give (events,) records."""
    return carray(_pointer(_table(world).heap), (_table(world).work_count,), _EVENT)


@compiled
def opened(world: int) -> Any:
    """Give (keys, replicas)."""
    table = _table(world)
    return carray(_pointer(table.opened), (table.key_count, table.replica_count), _SHORT)


@compiled
def rings(world: int) -> Any:
    """Give (keys, CONNECTIONS + 1)."""
    table = _table(world)
    return carray(_pointer(table.rings), (table.key_count, w.CONNECTIONS + 1), _SHORT)


@compiled
def knots(world: int) -> Any:
    """Give (keys, knots)."""
    table = _table(world)
    return carray(_pointer(table.knots), (table.key_count, table.knot_count), _FLOAT)


@compiled
def knot_s(world: int) -> Any:
    """Give (keys, knots)."""
    table = _table(world)
    return carray(_pointer(table.knot_s), (table.key_count, table.knot_count), _FLOAT)


@compiled
def request_s(world: int) -> Any:
    """Give (keys,)."""
    return carray(_pointer(_table(world).request_s), (_table(world).key_count,), _FLOAT)


@compiled
def draws(world: int) -> Any:
    """Give (keys, DRAWS)."""
    return carray(_pointer(_table(world).draws), (_table(world).key_count, w.DRAWS), _FLOAT)


@compiled
def expected_s(world: int) -> Any:
    """Give (replicas, SIZES)."""
    return carray(_pointer(_table(world).expected_s), (_table(world).replica_count, w.SIZES), _FLOAT)


@compiled
def expected_at_s(world: int) -> Any:
    """Give (replicas, SIZES)."""
    return carray(_pointer(_table(world).expected_at_s), (_table(world).replica_count, w.SIZES), _FLOAT)


@compiled
def stack(world: int) -> Any:
    """Give (works,)."""
    return carray(_pointer(_table(world).stack), (_table(world).work_count,), _SHORT)


@compiled
def wakes(world: int) -> Any:
    """Give (replicas,)."""
    return carray(_pointer(_table(world).wakes), (_table(world).replica_count,), _SHORT)


@compiled
def latencies(world: int) -> Any:
    """Give (BUCKETS,)."""
    return carray(_pointer(_table(world).latencies), (w.BUCKETS,), _INT)


@compiled
def totals(world: int) -> Any:
    """Give (8,)."""
    return carray(_pointer(_table(world).totals), (w.LATENCY_S + 1,), _FLOAT)
