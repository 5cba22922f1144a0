"""The trees of an XGBoost model's JSON as nodes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.importing.trees import Leaf, Node, Split, below, member

_SIDES = ("left_children", "right_children")


def trees_of(booster: Mapping[str, Any]) -> list[Node]:
    """Return the roots of the part ``gradient_booster`` of a model. The trees of a dart model are scaled.

    Raises:
        KeyError: a field is missing.
        ValueError: a tree is damaged.
    """
    trees: Any = booster.get("gbtree", booster)["model"]["trees"]
    weights = booster.get("weight_drop", [1.0] * len(trees))
    return [_node_of(tree, float(weight)) for tree, weight in zip(trees, weights, strict=True)]


def _node_of(tree: Mapping[str, Any], weight: float) -> Node:
    left, right = (tree[side] for side in _SIDES)
    # The threshold of a split, and the value of a leaf.
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    thresholds = below(conditions.astype(np.float64))
    columns, to_left = tree["split_indices"], tree["default_left"]
    categories = _categories(tree)
    made: dict[int, Node] = {}
    for index in _children_first(left, right):
        if left[index] < 0:
            made[index] = Leaf(float(conditions[index]) * weight)
            continue
        children = made[left[index]], made[right[index]]
        missing_left = bool(to_left[index])
        if index in categories:
            made[index] = member(
                columns[index],
                categories[index],
                inside=children[1],
                outside=children[0],
                missing_inside=not missing_left,
                negative=False,
            )
        else:
            made[index] = Split(columns[index], float(thresholds[index]), missing_left, *children)
    return made[0]


def _children_first(left: list[int], right: list[int]) -> list[int]:
    """Return the nodes below the root in an order in which every node follows its children.

    Raises:
        ValueError: a node is reached twice, so this is no tree.
    """
    order, waiting = [], [0]
    while waiting:
        index = waiting.pop()
        order.append(index)
        if left[index] >= 0:
            waiting += [left[index], right[index]]
        if len(order) > len(left):
            raise ValueError("the nodes are no tree")
    return order[::-1]


def _categories(tree: Mapping[str, Any]) -> dict[int, np.ndarray]:
    """Return the categories that are sent to the right, by node."""
    listed = np.array(tree.get("categories", []), dtype=np.int64)
    return {
        node: listed[start : start + size]
        for node, start, size in zip(
            tree.get("categories_nodes", []),
            tree.get("categories_segments", []),
            tree.get("categories_sizes", []),
            strict=True,
        )
    }
