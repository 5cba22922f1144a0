"""What is expected of a stage, against its last times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.latency import HALF_LIFE_S, WINDOW, Latency

times = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=3 * WINDOW)


def learnt(times_s: list[float], size: int = 200) -> Latency:
    latency = Latency()
    for elapsed_s in times_s:
        latency.observe(size, elapsed_s, 0.0)
    return latency


def test_nothing_is_expected_of_what_never_ran() -> None:
    assert Latency().expected_s(1000, 5.0) == 0.0


@given(times)
def test_it_lies_within_the_last_times_and_most_of_them_below(times_s: list[float]) -> None:
    last = times_s[-WINDOW:]
    expected_s = learnt(times_s).expected_s(200, 0.0)
    assert min(last) <= expected_s <= max(last)
    assert sum(each <= expected_s for each in last) >= 0.9 * len(last)


@given(st.floats(1e-6, 1.0), st.floats(1.0, 1e6), st.integers(0, WINDOW - 1))
def test_one_slow_batch_among_a_full_window_changes_nothing(usual_s: float, slow_s: float, at: int) -> None:
    times_s = [usual_s] * WINDOW
    times_s[at] = slow_s
    assert learnt(times_s).expected_s(200, 0.0) == usual_s


@given(times, st.floats(1e-6, 1e3))
def test_a_lasting_change_is_learnt_within_a_window(before: list[float], after_s: float) -> None:
    assert learnt([*before, *[after_s] * WINDOW]).expected_s(200, 0.0) == after_s


@given(st.dictionaries(st.integers(1, 100_000), st.floats(1e-6, 1.0), min_size=1), st.integers(1, 100_000))
def test_a_size_not_met_takes_no_less_than_a_smaller_one_and_no_more_than_in_proportion(
    met: dict[int, float], size: int
) -> None:
    latency = Latency()
    for other, elapsed_s in met.items():
        latency.observe(other, elapsed_s, 0.0)
    expected_s = latency.expected_s(size, 0.0)
    assert expected_s >= min(met.values())
    assert expected_s <= max(met.values()) * max(1.0, 2 * size / min(met))


def test_it_halves_while_the_stage_is_not_tried() -> None:
    latency = learnt([4.0])
    assert latency.expected_s(200, HALF_LIFE_S) == pytest.approx(2.0)
    assert latency.expected_s(200, 3 * HALF_LIFE_S) == pytest.approx(0.5)
    latency.observe(200, 4.0, 3 * HALF_LIFE_S)
    assert latency.expected_s(200, 3 * HALF_LIFE_S) == 4.0
