import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.errors import QueueFull
from services.scheduling.batcher import Batcher, BatchingConfig
from services.scheduling.work import Work


def work(
    name: str = "w",
    *,
    size: int = 1,
    deadline_s: float = 100.0,
    priority: int = 0,
    release: str = "a",
    requests: int = 1,
    is_abandoned: Callable[[], bool] | None = None,
) -> Work[str]:
    return Work(
        payload=name,
        candidate_count=size,
        request_count=requests,
        deadline_s=deadline_s,
        priority=priority,
        release=release,
        arrived_s=0.0,
        is_abandoned=is_abandoned,
    )


def batcher(budget: int = 10, waiting: int = 1000) -> Batcher[str]:
    return Batcher(BatchingConfig(max_candidates=budget, max_waiting_candidates=waiting))


def names(works: list[Work[str]]) -> str:
    return "".join(w.payload for w in works)


def test_orders_by_priority_then_deadline_then_arrival() -> None:
    queue = batcher()
    for name, deadline_s, priority in (("d", 9, 0), ("c", 5, 0), ("a", 9, 2), ("e", 9, 0), ("b", 1, 1)):
        queue.offer(work(name, deadline_s=deadline_s, priority=priority))
    assert names(queue.take(0.0).batch) == "abcde"


def test_batch_ends_at_the_first_work_that_does_not_fit() -> None:
    queue = batcher(budget=10)
    for name, size in (("a", 6), ("b", 5), ("c", 1)):
        queue.offer(work(name, size=size))
    assert [names(queue.take(0.0).batch) for _ in range(3)] == ["a", "bc", ""]


def test_request_over_the_budget_goes_alone() -> None:
    queue = batcher(budget=10)
    for name, size in (("a", 1), ("b", 50), ("c", 1)):
        queue.offer(work(name, size=size))
    assert [names(queue.take(0.0).batch) for _ in range(3)] == ["a", "b", "c"]


def test_batches_hold_one_release_and_the_most_urgent_goes_first() -> None:
    queue = batcher()
    for name, release, deadline_s in (("a", "x", 3), ("b", "y", 1), ("c", "x", 2), ("d", "y", 4)):
        queue.offer(work(name, release=release, deadline_s=deadline_s))
    assert [names(queue.take(0.0).batch) for _ in range(2)] == ["bd", "ca"]


def test_cancelled_work_does_not_make_its_release_urgent() -> None:
    queue = batcher()
    gone = work("a", release="x", priority=9)
    for each in (gone, work("b", release="x", priority=1), work("c", release="y", priority=5)):
        queue.offer(each)
    queue.cancel(gone)
    assert names(queue.take(0.0).batch) == "c"


def test_returns_work_that_cannot_make_its_deadline() -> None:
    queue = batcher()
    for name, deadline_s in (("a", 1.0), ("b", 2.0), ("c", 9.0)):
        queue.offer(work(name, deadline_s=deadline_s))
    result = queue.take(1.5, expected_service_s=1.0)
    assert (names(result.batch), names(result.late)) == ("c", "ab")
    assert (queue.waiting_candidates, queue.waiting_requests) == (0, 0)


def test_serves_the_most_urgent_work_if_the_estimate_excludes_all() -> None:
    queue = batcher()
    for name, deadline_s in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        queue.offer(work(name, deadline_s=deadline_s))
    result = queue.take(1.5, expected_service_s=60.0)
    assert (names(result.batch), names(result.late)) == ("b", "ac")


def test_returns_abandoned_work_at_once() -> None:
    queue = batcher()
    queue.offer(work("a", is_abandoned=lambda: True))
    queue.offer(work("b", is_abandoned=lambda: False))
    result = queue.take(0.0)
    assert (names(result.batch), names(result.late)) == ("b", "a")
    queue.offer(work("c", is_abandoned=lambda: True))
    assert not queue.take(0.0).batch


def test_refuses_work_over_the_limit_unless_the_queue_is_empty() -> None:
    queue = batcher(waiting=10)
    queue.offer(work("a", size=11))
    with pytest.raises(QueueFull) as refused:
        queue.offer(work("b"))
    assert refused.value.retry_after_s == 1
    queue.take(0.0)
    queue.offer(work("c", size=9))
    queue.offer(work("d", size=1))
    assert queue.waiting_candidates == 10


def test_refused_offer_changes_nothing() -> None:
    queue = batcher(waiting=1)
    first, second = work("a"), work("b")
    queue.offer(first)
    with pytest.raises(QueueFull):
        queue.offer(second)
    assert (queue.waiting_candidates, second.queued) == (1, False)
    assert names(queue.take(0.0).batch) == "a"


def test_full_queue_drops_the_least_urgent_work_for_more_urgent_work() -> None:
    queue = batcher(waiting=20)
    low, lowest, later = work("low", size=10), work("lowest", size=5, priority=-1), work("later", size=5)
    for each in (low, lowest, later):
        assert queue.offer(each) == []
    assert queue.offer(work("high", size=8, priority=1)) == [lowest, later]
    with pytest.raises(QueueFull):
        queue.offer(work("same", size=3))
    assert queue.waiting_candidates == 18


def test_batches_ahead_counts_only_work_that_certainly_goes_first() -> None:
    queue = batcher(budget=10)
    for _ in range(5):
        queue.offer(work(size=7, deadline_s=50.0))
    assert queue.batches_ahead(0, 60.0) == 3
    assert queue.batches_ahead(0, 40.0) == 0
    assert queue.batches_ahead(1, 60.0) == 0
    assert queue.batches_ahead(-1, 40.0) == 3


@dataclass
class Waiting:
    """An entry in the reference implementation: an offered work and its position in the arrival order."""

    work: Work[str]
    order: int
    gone: list[bool] = field(default_factory=lambda: [False])

    @property
    def key(self) -> tuple[int, float, int]:
        return (-self.work.priority, self.work.deadline_s, self.order)


def naive_take(
    waiting: list[Waiting], now_s: float, expected_s: float, budget: int
) -> tuple[list[Waiting], list[Waiting]]:
    """Sort all entries, and take a batch from the first entry's release."""
    batch: list[Waiting] = []
    late: list[Waiting] = []
    ordered = sorted(waiting, key=lambda entry: entry.key)
    for entry in [e for e in ordered if e.work.release == ordered[0].work.release]:
        if entry.work.deadline_s <= now_s + expected_s or entry.gone[0]:
            late.append(entry)
        elif not batch or sum(e.work.candidate_count for e in batch) + entry.work.candidate_count <= budget:
            batch.append(entry)
        else:
            break
    in_time = [e for e in late if e.work.deadline_s > now_s and not e.gone[0]]
    if not batch and in_time:
        batch = in_time[:1]
        late.remove(in_time[0])
    return batch, late


offers = st.tuples(
    st.just("offer"),
    st.integers(1, 14),
    st.integers(-1, 1),
    st.sampled_from([0.5, 2.0, 2.0, 5.0, float("inf")]),
    st.sampled_from("ab"),
)
picks = st.tuples(st.sampled_from(["cancel", "leave"]), st.integers(0, 30))
takes = st.tuples(st.just("take"), st.sampled_from([0.0, 0.4]), st.sampled_from([0.0, 1.0, 1e9]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(offers, offers, picks, takes), max_size=40))
def test_every_step_equals_that_of_a_sorted_list(steps: list[tuple[object, ...]]) -> None:
    budget, limit, now_s = 10, 40, 0.0
    queue = batcher(budget, limit)
    waiting: list[Waiting] = []
    offered: list[Waiting] = []
    for step in steps:
        match step:
            case ("offer", int(size), int(priority), float(wait_s), str(release)):
                gone = [False]
                offer = work(
                    str(len(offered)),
                    size=size,
                    priority=priority,
                    deadline_s=now_s + wait_s,
                    release=release,
                    requests=1 + size % 3,
                    is_abandoned=partial(operator.itemgetter(0), gone),
                )
                waiting_candidates = sum(entry.work.candidate_count for entry in waiting)
                excess = waiting_candidates + size - limit if waiting else 0
                # Deadlines here are equal or at least 20 ms apart, so each has its own bucket.
                lower = [
                    entry
                    for entry in waiting
                    if (entry.work.priority, -entry.work.deadline_s) < (priority, -offer.deadline_s)
                ]
                if excess > sum(entry.work.candidate_count for entry in lower):
                    with pytest.raises(QueueFull):
                        queue.offer(offer)
                    continue
                displaced: list[Waiting] = []
                for entry in sorted(lower, key=lambda entry: entry.key, reverse=True):
                    if sum(e.work.candidate_count for e in displaced) < excess:
                        displaced.append(entry)
                assert queue.offer(offer) == [entry.work for entry in displaced]
                waiting = [e for e in waiting if e not in displaced]
                offered.append(Waiting(offer, len(offered), gone))
                waiting.append(offered[-1])
            case ("cancel", int(which)) if offered:
                entry = offered[which % len(offered)]
                queue.cancel(entry.work)
                waiting = [e for e in waiting if e is not entry]
            case ("leave", int(which)) if offered:
                offered[which % len(offered)].gone[0] = True
            case ("take", float(later_s), float(expected_s)):
                now_s += later_s
                result = queue.take(now_s, expected_s)
                batch, late = naive_take(waiting, now_s, expected_s, budget) if waiting else ([], [])
                assert result.batch == [entry.work for entry in batch]
                assert result.late == [entry.work for entry in late]
                waiting = [e for e in waiting if e not in batch and e not in late]
        assert queue.waiting_candidates == sum(entry.work.candidate_count for entry in waiting)
        assert queue.waiting_requests == sum(entry.work.request_count for entry in waiting)
        for priority in (-1, 0, 1):
            as_urgent = [entry.work for entry in waiting if entry.work.priority >= priority]
            due = [each.candidate_count for each in as_urgent if each.deadline_s <= now_s + 2.0]
            assert queue.due_with(priority, now_s + 2.0) == sum(due)
        assert bool(queue) == bool(waiting)
