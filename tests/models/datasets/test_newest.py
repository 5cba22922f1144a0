import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.datasets import newest as module
from models.datasets.events import EventLog, last_moments, moments_of
from models.datasets.newest import newest

EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 60)), min_size=1, max_size=80
)


def one_by_one(items: list[int], first: int, start: int, longest: int) -> list[int]:
    """Walk back through one history."""
    seen: dict[int, int] = {}
    for event in range(start - 1, first - 1, -1):
        if len(seen) < longest:
            seen.setdefault(items[event], event)
    return sorted(seen.values())


@given(EVENTS, st.integers(1, 6), st.sampled_from([1, 10, 10_000]))
def test_equals_a_walk_back_through_each_history(
    events: list[tuple[int, int, int]], longest: int, together: int
) -> None:
    users, items, times = zip(*events, strict=True)
    log = EventLog.from_ids(
        "small",
        [str(u) for u in users],
        [str(i) for i in items],
        times,
        [1.0] * len(users),
        user_ids=["0", "1", "2"],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_EVENTS", together)
        for moments in (moments_of(log), last_moments(log)):
            found, lengths = newest(log.next_choice, moments.first, moments.start, longest)
            expected = [
                one_by_one(log.item.tolist(), first, start, longest)
                for first, start in zip(moments.first.tolist(), moments.start.tolist(), strict=True)
            ]
            assert lengths.tolist() == [len(each) for each in expected]
            assert found.tolist() == [event for each in expected for event in each]


def test_no_histories_have_no_events() -> None:
    none = np.empty(0, dtype=np.int64)
    found, lengths = newest(none.astype(np.int32), none, none, 5)
    assert len(found) == len(lengths) == 0
