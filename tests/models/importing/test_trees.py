"""Trees as graphs: exact thresholds, sets of categories, and shared subtrees."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from models.importing.trees import INPUT, Leaf, Node, Split, below, edges, graph_of, member, rounded_down
from models.runtimes.onnx import OnnxSession

FINITE = st.floats(allow_nan=False, allow_infinity=False)
FLOAT32 = st.floats(allow_nan=False, width=32)


@given(FINITE, FLOAT32)
@example(float(np.finfo(np.float32).min), 0.0)
@example(float(np.finfo(np.float32).min) * (1 + 2**-26), 0.0)
@example(1e300, 0.0)
def test_a_float32_is_on_the_same_side_of_a_rounded_threshold(threshold: float, value: float) -> None:
    (at_most,), (less,) = rounded_down(np.array([threshold])), below(np.array([threshold]))
    assert (np.float64(value) <= threshold) == (np.float32(value) <= at_most)
    assert (np.float64(value) < threshold) == (np.float32(value) <= less)


@given(
    st.sets(st.integers(0, 40)),
    st.lists(st.one_of(FLOAT32, st.integers(-2, 42).map(float), st.floats(-2, 42, width=32)), min_size=1),
    st.booleans(),
    st.booleans(),
)
def test_a_set_of_categories_has_the_numbers_with_these_whole_parts(
    categories: set[int], numbers: list[float], missing_inside: bool, negative: bool
) -> None:
    chosen = np.array(sorted(categories), dtype=np.int64)
    node = member(0, chosen, Leaf(1.0), Leaf(2.0), missing_inside=missing_inside, negative=negative)
    session = OnnxSession(graph_of([node], 1, "y", []).SerializeToString(), "test")
    scores = session.run(["y"], {INPUT: np.array([[*numbers, np.nan]], dtype=np.float32).T})["y"].reshape(-1)
    lowest = -1 if negative else 0
    expected = [
        (number > lowest or number == 0) and abs(number) < 1e6 and int(number) in categories
        for number in numbers
    ]
    assert (scores == 1.0).tolist() == [*expected, missing_inside and bool(categories)]


def test_the_sum_of_trees_is_followed_by_its_steps() -> None:
    trees: list[Node] = [
        Split(0, 0.5, True, Leaf(1.0), Leaf(2.0)),
        Split(1, -1.0, False, Leaf(10.0), Leaf(20.0)),
        Leaf(100.0),
    ]
    graph = graph_of(trees, 2, "score", [("Add", 1.0), ("Mul", 2.0)])
    session = OnnxSession(graph.SerializeToString(), "test")
    values = np.array([[0.5, -1.0], [0.6, 0.0], [np.nan, np.nan]], dtype=np.float32)
    scores = session.run(["score"], {INPUT: values})["score"].reshape(-1)
    assert scores.tolist() == [224.0, 246.0, 244.0]
    assert [column.tolist() for column in edges(trees, 2)] == [[0.5], [-1.0]]
