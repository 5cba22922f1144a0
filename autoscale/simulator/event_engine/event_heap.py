"""The future events, compiled: a binary heap, ordered by time, then by insertion."""

from autoscale.simulator.event_engine import pointers
from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.state import Records


@compiled
def note(state: int, at_s: float, kind: int, index: int, stamp: int) -> None:
    """Insert an event.

    Args:
        state: address of the engine's state.
        at_s: when the event is due.
        kind: event kind, such as ``BATCH_DONE``.
        index: the work or replica.
        stamp: the present stamp of that work or replica. If the stamp has changed when the event is due, the event is
            ignored.
    """
    heap, clock = pointers.heap(state), pointers.clock(state)
    position = clock.heap
    clock.heap += 1
    clock.stamp += 1
    while position > 0:
        parent = (position - 1) >> 1
        if heap[parent].at_s <= at_s:
            break
        heap[position] = heap[parent]
        position = parent
    event = heap[position]
    event.at_s, event.order, event.stamp, event.kind, event.index = at_s, clock.stamp, stamp, kind, index


@compiled
def _is_before(at_s: float, order: int, heap: Records, index: int) -> bool:
    other = heap[index]
    return bool(at_s < other.at_s or (at_s == other.at_s and order < other.order))


@compiled
def forget_first(state: int) -> None:
    """Remove the first event."""
    heap, clock = pointers.heap(state), pointers.clock(state)
    clock.heap -= 1
    count = clock.heap
    at_s, order = heap[count].at_s, heap[count].order
    index = 0
    while True:
        child = 2 * index + 1
        if child >= count:
            break
        if child + 1 < count and _is_before(heap[child + 1].at_s, heap[child + 1].order, heap, child):
            child += 1
        if _is_before(at_s, order, heap, child):
            break
        heap[index] = heap[child]
        index = child
    heap[index] = heap[count]
