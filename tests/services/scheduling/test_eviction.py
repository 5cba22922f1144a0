"""The order in which a full queue drops work, compared with a sorted list."""

from hypothesis import given
from hypothesis import strategies as st

from services.scheduling.eviction import LeastUrgent
from services.scheduling.work import Work

entries = st.tuples(st.integers(1, 9), st.integers(-1, 1), st.sampled_from([1.0, 2.0]), st.booleans())


@given(st.lists(entries, max_size=20), st.lists(entries, max_size=20), st.integers(0, 60))
def test_drops_the_least_urgent_waiting_work_and_no_more_than_needed(
    before: list[tuple[int, int, float, bool]], after: list[tuple[int, int, float, bool]], candidates: int
) -> None:
    works = [Work(str(n), e[0], 1, e[2], e[1], "a", 0.0) for n, e in enumerate([*before, *after])]
    for work in works:
        work.queued = True
    order = LeastUrgent(list(enumerate(works))[: len(before)])
    for sequence, work in list(enumerate(works))[len(before) :]:
        order.add(sequence, work)
    for work, entry in zip(works, [*before, *after], strict=True):
        work.queued = entry[3]
    waiting = [(work.priority, -work.due_s, -n, work) for n, work in enumerate(works) if work.queued]
    expected: list[Work[str]] = []
    for *_, work in sorted(waiting, key=lambda each: each[:3]):
        if sum(each.candidate_count for each in expected) < candidates:
            expected.append(work)
    assert order.pop(candidates) == expected


def test_heap_is_stale_if_most_entries_have_left() -> None:
    works = [Work("w", 1, 1, 1.0, 0, "a", 0.0) for _ in range(100)]
    for work in works:
        work.queued = True
    order = LeastUrgent(enumerate(works))
    assert not order.is_stale(100)
    assert order.is_stale(17)
