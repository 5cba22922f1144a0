"""The JSON or UBJSON of an XGBoost model, checked before XGBoost reads it.

XGBoost follows wrong node numbers, and the process ends with a segmentation fault.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.runtimes.trees.ubjson import parse

OF_TREES = ("gbtree", "dart")
"""The boosters that have trees."""
_LEAF = -1
_UBJSON = b"{L"
"""The start of UBJSON: an object with a key, whose length is an int64."""


def checked_learner(data: bytes, name: str) -> dict[str, Any]:
    """Return the part ``learner`` of a model.

    Raises:
        ArtifactError: the data are not of XGBoost, a tree is damaged, or the model has no trees or several scores
            per row.
    """
    try:
        learner: dict[str, Any] = (parse(data) if data.startswith(_UBJSON) else json.loads(data))["learner"]
        parameters = learner["learner_model_param"]
        booster = learner["gradient_booster"]
        kind = booster["name"]
        scores = max(1, *(int(parameters.get(key, 1)) for key in ("num_class", "num_target")))
        if kind in OF_TREES and scores == 1:
            _check_trees(booster, int(parameters["num_feature"]))
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        problem = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ArtifactError(f"{name}: the file is damaged: {problem}; save the model again") from error
    if kind not in OF_TREES or scores != 1:
        raise ArtifactError(
            f"{name}: expected trees with one score per row, got the booster {kind} with {scores}; train gbtree or "
            f"dart with one score per row"
        )
    return learner


def _check_trees(booster: Mapping[str, Any], features: int) -> None:
    model = booster.get("gbtree", booster)["model"]
    trees = model["trees"]
    if not trees:
        raise ValueError("the model has no trees")
    if int(model["gbtree_model_param"]["num_trees"]) != len(trees):
        raise ValueError("num_trees is not the number of trees")
    if _whole(model, "tree_info", len(trees)).any():
        raise ValueError("tree_info names a second score")
    if "weight_drop" in booster and len(booster["weight_drop"]) != len(trees):
        raise ValueError("weight_drop has another length than trees")
    steps = np.array(model.get("iteration_indptr", [0, len(trees)]), dtype=np.int64)
    if steps[0] != 0 or steps[-1] != len(trees) or (np.diff(steps) < 0).any():
        raise ValueError("iteration_indptr must rise from 0 to the number of trees")
    for number, tree in enumerate(trees):
        try:
            _check_tree(tree, features)
        except ValueError as error:
            raise ValueError(f"tree {number}: {error}") from error


def _check_tree(tree: Mapping[str, Any], features: int) -> None:
    parameters = tree["tree_param"]
    nodes = int(parameters["num_nodes"])
    if nodes < 1 or int(parameters.get("size_leaf_vector", 0)) > 1:
        raise ValueError("expected nodes with one number per leaf")
    if int(parameters.get("num_feature", features)) > features:
        raise ValueError(f"num_feature must be at most {features}")
    left, right = _whole(tree, "left_children", nodes), _whole(tree, "right_children", nodes)
    column, parents = _whole(tree, "split_indices", nodes), _whole(tree, "parents", nodes)
    _whole(tree, "default_left", nodes)
    if len(tree["split_conditions"]) != nodes:
        raise ValueError(f"split_conditions has {len(tree['split_conditions'])} numbers, expected {nodes}")
    inner = left != _LEAF
    children = np.concatenate([left[inner], right[inner]])
    # Every child has one parent and no parent has the root as a child, so no path from the root has a circle.
    is_tree = (
        np.array_equal(inner, right != _LEAF)
        and (children > 0).all()
        and (children < nodes).all()
        and len(np.unique(children)) == len(children)
        and np.array_equal(parents[children], np.tile(np.flatnonzero(inner), 2))
    )
    if not is_tree:
        raise ValueError("its nodes are no tree")
    if ((column[inner] < 0) | (column[inner] >= features)).any():
        raise ValueError(f"split_indices must be below {features}")
    _check_categories(tree, nodes, inner)


def _check_categories(tree: Mapping[str, Any], nodes: int, inner: NDArray[np.bool_]) -> None:
    kinds = _whole(tree, "split_type", nodes) if "split_type" in tree else np.zeros(nodes, dtype=np.int64)
    owners = np.array(tree.get("categories_nodes", []), dtype=np.int64)
    starts, sizes = (_whole(tree, f"categories_{key}", len(owners), ()) for key in ("segments", "sizes"))
    categories = np.array(tree.get("categories", []), dtype=np.int64)
    if not np.array_equal(np.flatnonzero((kinds == 1) & inner), np.sort(owners)):
        raise ValueError("categories_nodes must name the categorical splits")
    if (starts < 0).any() or (sizes < 0).any() or (starts + sizes > len(categories)).any():
        raise ValueError("a split names a category set that is not there")
    if (categories < 0).any() or (categories >= 1 << 24).any():  # XGBoost's own bound, exact in float32
        raise ValueError("a category is out of range")


def _whole(fields: Mapping[str, Any], key: str, count: int, default: Any = None) -> NDArray[np.int64]:
    """Return a list of whole numbers.

    Raises:
        KeyError: there is no such list, and no default.
        ValueError: it has another length, or other values.
    """
    values = np.array(fields[key] if default is None else fields.get(key, default))
    if values.shape != (count,):
        raise ValueError(f"{key} has {values.size} numbers, expected {count}")
    if count and values.dtype.kind not in "iub":
        raise ValueError(f"{key} must have whole numbers")
    return values.astype(np.int64)
