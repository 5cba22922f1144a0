"""Rests are in proportion to the work before them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.releases.throttle import Resting


@given(st.floats(0.01, 1.0), st.lists(st.floats(0.0, 0.01), max_size=20))
def test_work_in_small_pieces_takes_its_share(share: float, pieces_s: list[float]) -> None:
    rests_s: list[float] = []
    used_s = [5.0]
    rest = Resting(share, used_s=lambda: used_s[0], sleep=rests_s.append)
    for piece_s in pieces_s:
        used_s[0] += piece_s
        rest()
    worked_s = used_s[0] - 5.0
    assert worked_s == pytest.approx(share * (worked_s + sum(rests_s)), abs=1e-9)


def test_the_rest_after_a_long_piece_is_a_second() -> None:
    rests_s: list[float] = []
    used_s = [0.0]
    rest = Resting(0.1, used_s=lambda: used_s[0], sleep=rests_s.append)
    used_s[0] = 60.0
    rest()
    rest()
    assert rests_s == [1.0, 0.0]
