"""The claim benchmark compares two fronts at equal cost and at equal violations."""

import pytest

from autoscale.config import AutoscalingConfig
from autoscale.tuner.fronts import JudgedConfig
from autoscale.tuner.tuner import Tuned
from benchmarks.autoscaling.claim import Judged, compared, day, pipeline, select_points

CONFIG = AutoscalingConfig.model_validate({"p99_ms": 100.0, "policy": {"kind": "target_ongoing"}})


def judged(*points: tuple[float, float]) -> list[Judged]:
    """Return configurations with two seeds each, 10% above and 10% below the given cost and misses."""
    return [
        Judged(
            CONFIG, False, (0.9 * cost, 1.1 * cost), (0.9 * misses, 1.1 * misses), (50.0, 60.0), (0.0, 60.0)
        )
        for cost, misses in points
    ]


def test_fronts_are_compared_at_equal_cost_and_at_equal_violations() -> None:
    result = compared(judged((60.0, 0.005), (80.0, 0.0005)), judged((50.0, 0.02), (100.0, 0.008)))
    by_allowed = {row["allowed"]: row for row in result["cost_at_equal_violations"]}
    assert by_allowed[0.01]["ours"] == pytest.approx(60.0)
    assert by_allowed[0.01]["serves"] == pytest.approx(100.0)
    assert by_allowed[0.01]["saved"] == pytest.approx(0.4)
    assert by_allowed[0.001]["serves"] is None
    cheap, dear = result["violations_at_equal_cost"]
    assert (cheap["cost"], cheap["ours"]) == (pytest.approx(50.0), None)
    assert dear["ours"] == pytest.approx(0.0005)


def test_picks_the_chosen_configuration_and_the_cheapest_end_of_a_front() -> None:
    front = tuple(JudgedConfig(number, CONFIG, 10.0 + number, 0.1 / (1 + number)) for number in range(6))
    for chosen in front:
        picked = select_points(Tuned(chosen, front, 6, 0), 3)
        assert len(picked) == 3
        assert {chosen.number, 0} <= {one.number for one in picked}


def test_less_traffic_uses_smaller_nodes_at_the_same_price_per_core() -> None:
    full, tenth = pipeline(), pipeline(1e8)
    assert {str(key) for key in full.keys()} == {"ingress@cpu", "ranker@cpu"}
    assert tenth.pools["cpu"].cpus == 2
    prices = [pool.price_per_hour / pool.cpus for pool in (full.pools["cpu"], tenth.pools["cpu"])]
    assert prices[0] == pytest.approx(prices[1])
    assert day("day", 1e8, 60.0).counts.requests.sum() == pytest.approx(1e8)
