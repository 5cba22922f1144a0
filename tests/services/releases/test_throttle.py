"""Pauses are proportional to the work before them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.releases.throttle import Throttle


@given(st.floats(0.01, 1.0), st.lists(st.floats(0.0, 0.01), max_size=20))
def test_work_in_small_steps_uses_the_given_share(share: float, steps_s: list[float]) -> None:
    pauses_s: list[float] = []
    used_s = [5.0]
    throttle = Throttle(share, used_s=lambda: used_s[0], sleep=pauses_s.append)
    for step_s in steps_s:
        used_s[0] += step_s
        throttle()
    worked_s = used_s[0] - 5.0
    assert worked_s == pytest.approx(share * (worked_s + sum(pauses_s)), abs=1e-9)


def test_a_pause_is_at_most_one_second() -> None:
    pauses_s: list[float] = []
    used_s = [0.0]
    throttle = Throttle(0.1, used_s=lambda: used_s[0], sleep=pauses_s.append)
    used_s[0] = 60.0
    throttle()
    throttle()
    assert pauses_s == [1.0, 0.0]
