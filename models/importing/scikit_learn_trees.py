"""Copies of scikit-learn models whose trees skl2onnx converts without changing a decision."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np

from models.importing.trees import rounded_down

_PARTS = ("steps", "estimators_", "transformers_", "estimator", "final_estimator_", "calibrated_classifiers_")
_MOST_DEPTH = 8


def convertible(model: Any) -> Any:
    """Return a copy of a model for skl2onnx.

    Thresholds are float64 in scikit-learn and float32 in the graph. They are rounded down, so that a float32 is on the
    same side of a split as before.
    """
    copy = deepcopy(model)
    for part in _parts(copy, _MOST_DEPTH):
        tree = getattr(part, "tree_", None)
        if tree is not None:
            tree.threshold[:] = rounded_down(np.asarray(tree.threshold))
        for predictors in getattr(part, "_predictors", ()):
            for predictor in predictors:
                is_split = predictor.nodes["is_leaf"] == 0
                thresholds = predictor.nodes["num_threshold"]
                thresholds[is_split] = rounded_down(thresholds[is_split])
    return copy


@contextmanager
def whole_number_flags() -> Iterator[None]:
    """Let skl2onnx convert histogram trees: it passes a flag of each node as False, which ONNX refuses as a number."""
    from skl2onnx.common import tree_ensemble

    original, flag = tree_ensemble.add_node, "nodes_missing_value_tracks_true"

    def add_node(*arguments: Any, **options: Any) -> None:
        original(*arguments, **{**options, flag: int(options.get(flag, 0))})

    tree_ensemble.add_node = add_node
    try:
        yield
    finally:
        tree_ensemble.add_node = original


def _parts(model: Any, depth: int) -> Iterator[Any]:
    """Yield a model and the models in it."""
    yield model
    if depth == 0:
        return
    for name in _PARTS:
        inner = getattr(model, name, None)
        if inner is None or isinstance(inner, str):
            continue
        listed = (
            np.ravel(np.array(inner, dtype=object))
            if isinstance(inner, list | tuple | np.ndarray)
            else [inner]
        )
        for part in listed:
            if hasattr(part, "get_params") or hasattr(part, "estimator"):
                yield from _parts(part, depth - 1)
