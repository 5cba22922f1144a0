"""Where curves bend, and how they are continued."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.growth.bends import bend_of, polynomial_of, rise_of

XS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000]


@given(st.floats(0.01, 100), st.sampled_from([50, 100, 200, 500]))
def test_cost_bends_where_the_growing_part_becomes_the_larger_one(scale: float, equal_at: int) -> None:
    bend = bend_of(XS, [scale * (equal_at + x) for x in XS])
    assert bend is not None
    assert equal_at / 2.5 < bend.at < 2.5 * equal_at
    assert bend.before < 0.5 < bend.after


def test_quadratic_term_bends_a_linear_cost() -> None:
    bend = bend_of(XS, [x + x * x / 300 for x in XS])
    assert bend is not None
    assert 120 < bend.at < 750
    assert bend.before == pytest.approx(1, abs=0.25)
    assert bend.after > 1.6


@given(st.floats(0.1, 2), st.integers(0, 1000))
def test_straight_line_has_no_bend_even_with_noise(slope: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.01, len(XS))
    assert bend_of(XS, (np.array(XS, float) ** slope * np.exp(noise)).tolist()) is None


def test_few_points_have_no_bend() -> None:
    assert bend_of([1, 2, 3, 4], [1, 1, 4, 16]) is None


def test_half_of_a_rise_lies_between_the_two_levels() -> None:
    rise = rise_of(XS, [1, 1, 1, 1, 2, 4, 4, 4, 4])
    assert rise is not None
    assert rise.at == pytest.approx(200)
    assert rise.factor == pytest.approx(4)


@pytest.mark.parametrize("ys", [[1.0, 1.1, 1.05], [3.0, 2.0, 1.0], [1.0, 2.0]])
def test_level_falling_or_short_curve_has_no_rise(ys: list[float]) -> None:
    assert rise_of(XS[: len(ys)], ys) is None


@given(st.floats(0.5, 50), st.floats(0, 5), st.floats(0, 0.05))
def test_extrapolation_continues_a_polynomial(constant: float, linear: float, quadratic: float) -> None:
    xs = [1, 2, 4, 8, 16, 32, 64]
    fit = polynomial_of(xs, [constant + linear * x + quadratic * x * x for x in xs])
    assert fit(400) == pytest.approx(constant + linear * 400 + quadratic * 160_000, rel=1e-3)


@given(st.integers(0, 1000))
def test_noise_on_a_line_is_not_extrapolated_as_a_curve(seed: int) -> None:
    xs = [1, 2, 4, 8, 16, 32, 64]
    noise = np.random.default_rng(seed).normal(0, 0.03, len(xs))
    fit = polynomial_of(xs, ((5 + 0.5 * np.array(xs)) * np.exp(noise)).tolist())
    assert 120 < fit(400) < 400


def test_extrapolated_cost_never_falls() -> None:
    fit = polynomial_of([1, 2, 4, 8], [4.0, 3.0, 2.0, 1.0])
    assert fit(400) >= fit(8) > 0
