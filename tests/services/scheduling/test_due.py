"""The candidates that are due before a deadline, against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from services.scheduling.due import DueCandidates

deadlines = st.integers(0, 500).map(lambda bucket: bucket * 0.02 + 0.001) | st.just(float("inf"))


@given(st.lists(st.tuples(deadlines, st.integers(0, 50)), max_size=50), st.data())
def test_counts_are_those_of_a_plain_list(added: list[tuple[float, int]], data: st.DataObject) -> None:
    due, left = DueCandidates(), list(added)
    for deadline_s, candidates in added:
        due.add(deadline_s, candidates)
    for _ in range(data.draw(st.integers(0, len(added)))):
        due.remove(*left.pop(data.draw(st.integers(0, len(left) - 1))))
    assert due.entries == len(left)
    assert due.total == sum(candidates for _, candidates in left)
    for at_s in (0.001, 1.001, 5.001, 1e9, float("inf")):
        assert due.by(at_s) == sum(candidates for deadline_s, candidates in left if deadline_s <= at_s)
