"""The batcher, compiled: ``services/scheduling/batcher.py`` with one release and one priority; a test compares both.

A replica's queue is a list in order of deadline, then of coming; deadlines come nearly in order, so that work finds
its place from the end in a step or two.
"""

from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.state import HELD, MOVING, QUEUED, Records


@compiled
def offer(replicas: Records, works: Records, r: int, w: int, max_waiting: int) -> bool:
    """Enqueue; False if the limit is reached (an empty queue takes any one work).

    The requests of a simulation have one deadline and come in its order, so that none displaces another.
    """
    replica, work = replicas[r], works[w]
    if replica.waiting_works and replica.waiting_candidates + work.candidates > max_waiting:
        return False
    before = replica.tail
    while before >= 0 and works[before].deadline_s > work.deadline_s:
        before = works[before].prev
    after = replica.head if before < 0 else works[before].next
    work.prev, work.next = before, after
    if before < 0:
        replica.head = w
    else:
        works[before].next = w
    if after < 0:
        replica.tail = w
    else:
        works[after].prev = w
    work.state, work.replica = QUEUED, r
    replica.waiting_works += 1
    replica.waiting_candidates += work.candidates
    return True


@compiled
def leave(replicas: Records, works: Records, r: int, w: int) -> None:
    """Take work out of its queue."""
    replica, work = replicas[r], works[w]
    if work.prev < 0:
        replica.head = work.next
    else:
        works[work.prev].next = work.next
    if work.next < 0:
        replica.tail = work.prev
    else:
        works[work.next].prev = work.prev
    work.next = work.prev = -1
    work.state = MOVING
    replica.waiting_works -= 1
    replica.waiting_candidates -= work.candidates


@compiled
def take(
    replicas: Records, works: Records, r: int, now_s: float, expected_s: float, max_candidates: int
) -> tuple[int, int]:
    """Form the next batch; give the first work of it and of the late, each -1 or the head of a list by ``sibling``."""
    replica = replicas[r]
    batch, last, late, last_late, candidates = -1, -1, -1, -1, 0
    while replica.head >= 0:
        w = replica.head
        work = works[w]
        if work.deadline_s <= now_s + expected_s:
            leave(replicas, works, r, w)
            if last_late < 0:
                late = w
            else:
                works[last_late].sibling = w
            last_late, work.sibling = w, -1
        elif batch < 0 or candidates + work.candidates <= max_candidates:
            leave(replicas, works, r, w)
            if last < 0:
                batch = w
            else:
                works[last].sibling = w
            last, work.sibling, work.state = w, -1, HELD
            candidates += work.candidates
        else:
            break
    if batch >= 0:
        return batch, late
    # An expectation is not a fact: the most urgent work with time left goes all the same.
    before, w = -1, late
    while w >= 0 and works[w].deadline_s <= now_s:
        before, w = w, works[w].sibling
    if w < 0:
        return -1, late
    if before < 0:
        late = works[w].sibling
    else:
        works[before].sibling = works[w].sibling
    works[w].sibling, works[w].state = -1, HELD
    return w, late


@compiled
def batches_ahead(replicas: Records, works: Records, r: int, deadline_s: float, max_candidates: int) -> int:
    """Return how many full batches go before work of this deadline: those of the work that is due before."""
    replica = replicas[r]
    ahead: int = replica.waiting_candidates
    w = replica.tail
    while w >= 0 and works[w].deadline_s > deadline_s:
        ahead -= works[w].candidates
        w = works[w].prev
    return ahead // max_candidates
