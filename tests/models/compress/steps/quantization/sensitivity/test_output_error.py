"""The relative error of lists of scores."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.compress.steps.quantization.sensitivity.output_error import relative_error


def lists(*values: list[float]) -> list[NDArray[np.float32]]:
    return [np.array(each, dtype=np.float32) for each in values]


def test_a_change_that_a_list_shares_does_not_count() -> None:
    before = lists([1, 2, 3], [0, 4])
    assert relative_error(before, lists([11, 12, 13], [-2, 2])) == 0
    assert relative_error(before, lists([1, 2, 3], [0, 8])) == pytest.approx((8 / 10) ** 0.5)


def test_lists_of_single_candidates_are_compared_together() -> None:
    assert relative_error(lists([0], [2]), lists([0], [4])) == pytest.approx(1.0)
    assert relative_error(lists([5], [5]), lists([0], [4])) == 0
