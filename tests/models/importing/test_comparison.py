"""The choice of a runtime from measured times, and what the user reads about it."""

import numpy as np
import pytest

from models.errors import ArtifactError
from models.importing.comparison import Comparison, Timing, compared, fastest_of
from models.signature import Inputs

STEADY = (1.0,) * 9


def native(*times_ms: float) -> Timing:
    return Timing("xgboost", 200, times_ms)


@pytest.mark.parametrize(
    ("times_ms", "chosen"),
    [
        ((0.5,) * 9, "xgboost"),
        ((1.5,) * 9, "onnx"),
        ((0.97,) * 9, "onnx"),
        ((0.5,) * 8 + (2.0,), "xgboost"),
        ((0.5,) * 7 + (2.0,) * 2, "onnx"),
    ],
    ids=["twice as fast", "slower", "hardly faster", "one slow round", "two slow rounds"],
)
def test_a_library_is_chosen_only_if_it_is_clearly_faster(times_ms: tuple[float, ...], chosen: str) -> None:
    assert fastest_of(Timing("onnx", 200, STEADY), [native(*times_ms)]) == chosen


def test_the_fastest_of_several_is_chosen() -> None:
    others = [native(*(0.5,) * 9), Timing("lightgbm", 200, (0.4,) * 9)]
    assert fastest_of(Timing("onnx", 200, STEADY), others) == "lightgbm"


def test_lines_have_medians_spread_and_the_choice() -> None:
    comparison = Comparison((Timing("onnx", 200, (1.0, 2.0, 3.0)), native(0.5, 0.25, 0.75)), "xgboost", 200)
    assert comparison.lines() == [
        "200 rows, ms: onnx 2 (1 to 3), xgboost 0.5 (0.25 to 0.75)",
        "chosen: xgboost, 0.5 ms for 200 rows in one thread, 2 with onnx",
    ]
    assert comparison.medians() == {"onnx": {200: 2.0}, "xgboost": {200: 0.5}}


class Counting:
    """A model without trees. It remembers how many rows each call had."""

    def __init__(self) -> None:
        self.sizes: set[int] = set()

    def run(self, inputs: Inputs) -> Inputs:
        self.sizes.add(len(inputs["features"]))
        return {"score": inputs["features"][:, :1]}


def test_every_runtime_is_measured_at_every_size_and_at_that_of_the_pipeline() -> None:
    first, second = Counting(), Counting()
    rows = np.zeros((3, 2), dtype=np.float32)
    comparison = compared({"onnx": first, "xgboost": second}, "features", rows, 70)
    assert first.sizes == second.sizes == {1, 32, 70, 200, 1000}
    assert {(timing.kind, timing.rows) for timing in comparison.timings} == {
        (kind, size) for kind in ("onnx", "xgboost") for size in first.sizes
    }
    assert comparison.rows == 70


def test_without_rows_nothing_can_be_measured() -> None:
    with pytest.raises(ArtifactError, match="expected candidates, got none"):
        compared({"onnx": Counting()}, "features", np.zeros((0, 2), dtype=np.float32), 70)
