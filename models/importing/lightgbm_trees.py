"""The trees of a LightGBM text, which is already checked, as nodes."""

import numpy as np
from numpy.typing import NDArray

from models.importing.trees import Leaf, Node, Split, Step, member, rounded_down
from models.runtimes.trees.lightgbm_text import CATEGORICAL, Fields, is_linear, numbers

_DEFAULT_LEFT, _MISSING_TYPE, _ZERO_IS_MISSING, _NAN_IS_MISSING = 2, 12, 4, 8
"""Bits of a split's decision type. With neither type of missing values, NaN is read as 0."""
_ZERO = np.float32(1e-35)
_BELOW_ZERO = np.nextafter(-_ZERO, np.float32(-np.inf))
"""LightGBM reads numbers of at most 1e-35 as 0."""
_WORD = 32

_IDENTITY = (
    ["regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom", "none"]
)  # fmt: skip
_LINKS: dict[str, str | None] = {
    **dict.fromkeys(_IDENTITY),
    "binary": "Sigmoid",
    "cross_entropy": "Sigmoid",
    "cross_entropy_lambda": "Softplus",
    "poisson": "Exp",
    "gamma": "Exp",
    "tweedie": "Exp",
}
"""The last step of each objective: the function from the sum of the trees to the prediction."""


def steps_of(header: Fields, trees: int) -> list[Step]:
    """Return the operators between the sum of the trees and the prediction.

    Args:
        header: the first part of the text.
        trees: the number of trees.

    Raises:
        ValueError: the objective is unknown, or predicts another function of the sum.
    """
    name, *options = header.get("objective", "none").split()
    if name not in _LINKS or "sqrt" in options:
        known = ", ".join(_LINKS)
        raise ValueError(
            f"cannot convert objective {' '.join([name, *options])}; use one of {known}, without reg_sqrt"
        )
    steps: list[Step] = []
    if "average_output" in header:
        steps.append(("Mul", 1.0 / trees))
    for option in options:
        key, _, value = option.partition(":")
        if key == "sigmoid" and _LINKS[name] is not None and float(value) != 1.0:
            steps.append(("Mul", float(value)))
    link = _LINKS[name]
    return steps if link is None else [*steps, (link, None)]


def node_of(tree: Fields) -> Node:
    """Return the root of a tree.

    - LightGBM's thresholds are float64. Rounded down to float32, they decide as before for every float32.
    - Thresholds between -1e-35 and 1e-35 are moved to the end of the range of numbers that are read as 0.

    Raises:
        ValueError: the leaves have linear models.
    """
    if is_linear(tree):
        raise ValueError("linear models in leaves cannot be converted; train without linear_tree")
    count = int(tree["num_leaves"])
    leaves = [Leaf(value) for value in numbers(tree, "leaf_value", count).tolist()]
    if count == 1:
        return leaves[0]
    splits = count - 1
    left, right, column, decision = (
        numbers(tree, key, splits).astype(np.int64).tolist()
        for key in ("left_child", "right_child", "split_feature", "decision_type")
    )
    raw = numbers(tree, "threshold", splits)
    rounded = rounded_down(raw)
    rounded[(rounded >= 0) & (rounded < _ZERO)] = _ZERO
    rounded[(rounded < 0) & (rounded >= -_ZERO)] = _BELOW_ZERO
    made: dict[int, Node] = {~index: leaf for index, leaf in enumerate(leaves)}
    for index in reversed(range(splits)):  # every child has a larger number than its parent
        children = made[left[index]], made[right[index]]
        if decision[index] & CATEGORICAL:
            categories = _categories(tree, int(raw[index]))
            made[index] = member(column[index], categories, *children, missing_inside=False, negative=True)
        else:
            made[index] = _number_split(column[index], float(rounded[index]), decision[index], *children)
    return made[0]


def _number_split(column: int, threshold: float, decision: int, left: Node, right: Node) -> Node:
    zero_left, default_left = threshold >= 0, bool(decision & _DEFAULT_LEFT)
    kind = decision & _MISSING_TYPE
    if kind == _NAN_IS_MISSING:
        return Split(column, threshold, default_left, left, right)
    if kind != _ZERO_IS_MISSING or zero_left == default_left:
        return Split(column, threshold, zero_left, left, right)
    # Zero is sent to the other side than its neighbours. NaN is read as 0.
    if zero_left:
        above = Split(column, threshold, False, left, right)
        return Split(column, float(_BELOW_ZERO), False, left, Split(column, float(_ZERO), True, right, above))
    zero = Split(column, float(_ZERO), True, left, right)
    return Split(column, threshold, False, left, Split(column, float(_BELOW_ZERO), False, right, zero))


def _categories(tree: Fields, index: int) -> NDArray[np.int64]:
    bounds = [int(bound) for bound in tree["cat_boundaries"].split()]
    words = np.array(tree["cat_threshold"].split()[bounds[index] : bounds[index + 1]], dtype=np.int64)
    is_set = (words[:, None] >> np.arange(_WORD)) & 1
    return np.flatnonzero(is_set.reshape(-1))
