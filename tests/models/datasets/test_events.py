import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.datasets.events import EventLog, cut, moments_of

EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 30)), min_size=3, max_size=80
)


def log_of(events: list[tuple[int, int, int]]) -> EventLog:
    users, items, times = zip(*events, strict=True)
    return EventLog.from_ids(
        "drawn", [str(u) for u in users], [str(i) for i in items], times, [1.0] * len(users)
    )


@given(EVENTS, st.floats(0.1, 0.6), st.floats(0.1, 0.3))
def test_no_training_event_is_later_than_any_of_validation_or_test(
    events: list[tuple[int, int, int]], train: float, valid: float
) -> None:
    log = log_of(events)
    parts = cut(log, train, valid).parts(log.at_s)
    assert (np.sum(list(parts.values()), axis=0) == 1).all()
    for earlier, later in (("train", "valid"), ("train", "test"), ("valid", "test")):
        before, after = log.at_s[parts[earlier]], log.at_s[parts[later]]
        assert before.max(initial=-np.inf) < after.min(initial=np.inf)


@given(EVENTS)
def test_moments_have_every_event_once_and_their_history_is_strictly_earlier(
    events: list[tuple[int, int, int]],
) -> None:
    log = log_of(events)
    moments = moments_of(log)
    assert np.concatenate([np.arange(a, b) for a, b in zip(moments.start, moments.end, strict=True)]).tolist() \
        == list(range(len(log)))  # fmt: skip
    for first, start, end, user, at_s in zip(
        moments.first, moments.start, moments.end, moments.user, moments.at_s, strict=True
    ):
        assert (log.user[first:end] == user).all()
        assert (log.at_s[start:end] == at_s).all()
        assert (log.at_s[first:start] < at_s).all()
        assert first == 0 or log.user[first - 1] != user
