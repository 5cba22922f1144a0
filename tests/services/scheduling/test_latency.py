"""A stage's expected time, compared with its last times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduling.latency import WINDOW, Latency

times = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=3 * WINDOW)
sizes = st.integers(1, 100_000)


def learned(times_s: list[float], size: int = 200) -> Latency:
    latency = Latency()
    for elapsed_s in times_s:
        latency.observe(size, elapsed_s, 0.0)
    return latency


def test_stage_that_never_ran_is_expected_to_take_no_time() -> None:
    assert Latency().expected_s(1000) == 0.0
    assert Latency().age_s(1000, 5.0) == float("inf")


@given(times)
def test_expected_time_is_a_high_quantile_of_the_last_times(times_s: list[float]) -> None:
    last = times_s[-WINDOW:]
    expected_s = learned(times_s).expected_s(200)
    assert min(last) <= expected_s <= max(last)
    assert sum(each <= expected_s for each in last) >= 0.9 * (len(last) - 1)


@given(st.floats(1e-6, 1.0), st.floats(1.0, 1e6), st.integers(2, WINDOW), st.data())
def test_one_slow_batch_changes_nothing_once_two_times_are_known(
    usual_s: float, slow_s: float, known: int, data: st.DataObject
) -> None:
    times_s = [usual_s] * known
    times_s[data.draw(st.integers(0, known - 1))] = slow_s
    assert learned(times_s).expected_s(200) == usual_s


@given(times, st.floats(1e-6, 1e3))
def test_learns_a_lasting_change_within_a_window(before: list[float], after_s: float) -> None:
    assert learned([*before, *[after_s] * WINDOW]).expected_s(200) == after_s


@given(st.dictionaries(sizes, st.floats(1e-6, 1.0), min_size=1), sizes)
def test_new_size_takes_at_least_as_long_as_a_smaller_one_and_at_most_in_proportion(
    met: dict[int, float], size: int
) -> None:
    latency = Latency()
    for other, elapsed_s in met.items():
        latency.observe(other, elapsed_s, 0.0)
    expected_s = latency.expected_s(size)
    assert expected_s >= min(met.values())
    assert expected_s <= max(met.values()) * max(1.0, 2 * size / min(met))


@given(st.dictionaries(sizes, st.floats(1e-6, 1e3)), sizes, st.floats(1e-6, 1.0), sizes)
def test_probe_removes_times_that_it_contradicts(
    met: dict[int, float], probed: int, elapsed_s: float, size: int
) -> None:
    latency = Latency()
    for other, each_s in met.items():
        latency.observe(other, each_s, 0.0)
    before_s = {other: latency.expected_s(other) for other in met}
    latency.correct(probed, elapsed_s, 7.0)
    assert latency.expected_s(probed) == elapsed_s
    assert latency.age_s(probed, 8.0) == 1.0
    # At most in proportion to the probe, by powers of two. Times that agree with the probe are kept.
    assert latency.expected_s(size) <= elapsed_s * 2.0 ** max(0, size.bit_length() - probed.bit_length())
    for other, each_s in before_s.items():
        if other.bit_length() < probed.bit_length() and each_s <= elapsed_s:
            assert latency.expected_s(other) == each_s


@pytest.mark.parametrize(("size", "known"), [(200, 0.0), (255, 0.0), (100, 0.0), (1000, 3.0)])
def test_age_is_that_of_the_newest_time_used(size: int, known: float) -> None:
    latency = learned([1.0], size=200)
    latency.observe(1000, 1.0, 3.0)
    assert latency.age_s(size, 10.0) == 10.0 - known
