"""The batcher, compiled: ``services/scheduling/batcher.py`` with one release and one priority. A test compares both.

A replica's queue is a linked list, ordered by deadline, then by arrival. Work arrives nearly in this order, so an
insertion from the end takes one or two steps.
"""

from autoscale.simulator.event_engine.jit import compiled
from autoscale.simulator.event_engine.state import HELD, MOVING, QUEUED, Records


@compiled
def offer(replicas: Records, works: Records, r: int, w: int, max_waiting: int) -> bool:
    """Enqueue a work, and return whether it was accepted.

    It is rejected if the queue would exceed ``max_waiting`` candidates. An empty queue accepts any work. All requests
    in a simulation have the same time to their deadline and arrive in order, so no request displaces another.

    Args:
        replicas: replica records.
        works: work records.
        r: the replica.
        w: the work.
        max_waiting: limit on waiting candidates.
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
    """Remove a work from a replica's queue."""
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
    """Form the next batch.

    Args:
        replicas: replica records.
        works: work records.
        r: the replica.
        now_s: the present.
        expected_s: a work may join the batch only if it has more than this time left.
        max_candidates: the candidates in a full batch.

    Returns:
        The first work in the batch, and the first work that is late. Each is -1, or the head of a list that is linked
        by ``sibling``.
    """
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
    # The expected time is only an estimate. If it excludes all work, serve the most urgent work that is not yet late.
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
    """Return how many full batches wait ahead of work with this deadline. Work that is due at the same time counts."""
    replica = replicas[r]
    ahead: int = replica.waiting_candidates
    w = replica.tail
    while w >= 0 and works[w].deadline_s > deadline_s:
        ahead -= works[w].candidates
        w = works[w].prev
    return ahead // max_candidates
