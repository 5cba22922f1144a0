"""The candidates that are due before a deadline, compared with a plain list."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from services.scheduling.due import DueCandidates

deadlines = st.integers(0, 500).map(lambda bucket: bucket * 0.02 + 0.001) | st.just(float("inf"))


@given(st.lists(st.tuples(st.integers(-1, 1), deadlines, st.integers(0, 50)), max_size=50), st.data())
def test_counts_equal_those_of_a_plain_list(added: list[tuple[int, float, int]], data: st.DataObject) -> None:
    due, left = DueCandidates(), list(added)
    for each in added:
        due.add(*each)
    for _ in range(data.draw(st.integers(0, len(added)))):
        due.remove(*left.pop(data.draw(st.integers(0, len(left) - 1))))
    for priority in (-2, -1, 0, 1, 2):
        higher = sum(count for other, _, count in left if other > priority)
        for at_s in (0.001, 1.001, 5.001, float("inf")):
            equal, at_least = (
                sum(count for other, deadline_s, count in left if deadline_s <= at_s and wanted(other))
                for wanted in (priority.__eq__, priority.__le__)
            )
            assert due.before(priority, at_s) == higher + equal
            assert due.at_least(priority, at_s) == at_least


def test_another_thread_may_read_while_counts_change() -> None:
    due, ended = DueCandidates(), threading.Event()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not ended.is_set():
                assert 0 <= due.before(0, 1.0) <= 3 * 200
                assert 0 <= due.at_least(0, 1.0) <= 3 * 200
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        entries = [(priority, 0.02 * bucket, 1) for priority in range(3) for bucket in range(200)]
        for entry in entries:
            due.add(*entry)
        for entry in entries:
            due.remove(*entry)
    ended.set()
    reader.join()
    assert errors == []
    assert due.at_least(-1, float("inf")) == 0
