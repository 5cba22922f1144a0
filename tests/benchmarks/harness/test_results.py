import math
from collections import Counter

import pytest

from benchmarks.harness.results import good_count, percentiles_ms


def test_percentiles_are_in_milliseconds() -> None:
    assert percentiles_ms([0.001] * 99 + [0.1]) == pytest.approx((1.0, 1.99, 90.199))


def test_percentiles_are_nan_without_latencies() -> None:
    assert all(math.isnan(value) for value in percentiles_ms([]))


def test_only_2xx_answers_count_as_good() -> None:
    assert good_count(Counter({200: 5, 204: 1, 429: 7, 500: 2})) == 6
