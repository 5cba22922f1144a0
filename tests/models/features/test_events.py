"""Event tables are sorted and have each event once.

Bisection finds a time's position.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features.events import EventTable, first_at_or_after
from tests.models.features.events import USERS, Arrivals, arrivals


@given(arrivals())
def test_a_table_holds_each_event_once_by_user_then_time_then_sequence(events: Arrivals) -> None:
    table = events.table()
    user = np.repeat(np.arange(USERS), np.diff(table.offsets))
    keys = list(zip(user.tolist(), table.at_s.tolist(), table.fields["sequence"].tolist(), strict=True))
    assert keys == sorted(
        set(zip(events.user.tolist(), events.at_s.tolist(), events.sequence.tolist(), strict=True))
    )


@given(
    st.lists(st.lists(st.integers(0, 6).map(float), max_size=9), min_size=1, max_size=5),
    st.lists(st.sampled_from([-1.0, 0.0, 2.0, 2.5, 6.0, 7.0]), min_size=5, max_size=5),
)
def test_bisection_equals_searchsorted_in_each_slice(slices: list[list[float]], moments: list[float]) -> None:
    ordered = [sorted(part) for part in slices]
    ends = np.cumsum([len(part) for part in ordered])
    starts = ends - [len(part) for part in ordered]
    times_s = np.array(moments[: len(ordered)])
    result = first_at_or_after(np.array([at for part in ordered for at in part]), starts, ends, times_s)
    expected = [
        start + int(np.searchsorted(part, moment, side="left"))
        for start, part, moment in zip(starts, ordered, times_s, strict=True)
    ]
    assert result.tolist() == expected


def test_rejects_times_that_are_not_finite_and_unknown_users() -> None:
    one, user = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    with pytest.raises(ValueError, match="at_s: must be finite"):
        EventTable.from_columns(user, np.array([np.nan]), one, {}, 1)
    with pytest.raises(ValueError, match="must be from 0 to 0"):
        EventTable.from_columns(user + 1, np.zeros(1), one, {}, 1)
