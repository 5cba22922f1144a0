"""The text of a LightGBM model: checked before LightGBM reads it, and rewritten to decide as ONNX can."""

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError

_THRESHOLDS, _DECISIONS, _SIZES = "threshold=", "decision_type=", "tree_sizes="
_ZERO = np.float32(1e-35)
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_TYPE, _MISSING_IS_NAN = 1, 2, 12, 8
"""Bits of a split's decision type. The missing type 0 reads NaN as 0."""


def check_trees(text: str, name: str) -> None:
    """Check that every tree is whole, because LightGBM follows wrong node numbers and ends the process.

    Raises:
        ArtifactError: a tree is damaged, or has linear models in its leaves.
    """
    header, *trees = text.partition("\nend of trees")[0].split("\nTree=")
    fields = _fields(header)
    try:
        features = int(fields["max_feature_idx"]) + 1
    except (KeyError, ValueError):
        raise ArtifactError(
            f"{name}: max_feature_idx is missing or no number; save the model again"
        ) from None
    if not trees:
        raise ArtifactError(f"{name}: the model has no trees; train it on more data")
    for number, tree in enumerate(trees):
        try:
            _check_tree(_fields(tree), features)
        except (KeyError, ValueError, IndexError) as error:
            problem = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            raise ArtifactError(
                f"{name}: tree {number} is damaged: {problem}; save the model again"
            ) from None


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.split("\n"))
    return {key: value for key, separator, value in pairs if separator}


def _check_tree(fields: dict[str, str], features: int) -> None:
    if fields.get("is_linear", "0").strip() == "1":
        raise ValueError("linear models in leaves cannot be converted")
    leaves = int(fields["num_leaves"])
    _numbers(fields, "leaf_value", leaves)
    if leaves == 1:
        return
    splits = leaves - 1
    left, right, split, decision = (
        _numbers(fields, key, splits).astype(np.int64)
        for key in ("left_child", "right_child", "split_feature", "decision_type")
    )
    threshold = _numbers(fields, "threshold", splits)
    children = np.concatenate([left, right])
    expected = np.concatenate([np.arange(1, splits), -np.arange(1, leaves + 1)])
    if not np.array_equal(np.sort(children), np.sort(expected)):
        raise ValueError("its nodes are no tree")
    parents = np.tile(np.arange(splits), 2)
    if (children[children >= 0] <= parents[children >= 0]).any():
        raise ValueError("its nodes are no tree")
    if split.min() < 0 or split.max() >= features:
        raise ValueError(f"split_feature must be below {features}")
    categories = int(fields.get("num_cat", "0"))
    is_category = (decision & _CATEGORICAL) != 0
    if not is_category.any():
        return
    bounds = _numbers(fields, "cat_boundaries", categories + 1).astype(np.int64)
    _numbers(fields, "cat_threshold", int(bounds[-1]))
    if bounds[0] != 0 or (np.diff(bounds) < 0).any():
        raise ValueError("cat_boundaries must rise from 0")
    if not ((threshold[is_category] >= 0) & (threshold[is_category] < categories)).all():
        raise ValueError("a split names a category set that is not there")


def _numbers(fields: dict[str, str], key: str, count: int) -> NDArray[np.float64]:
    numbers = np.array(fields[key].split(), dtype=np.float64)
    if len(numbers) != count:
        raise ValueError(f"{key} has {len(numbers)} numbers, expected {count}")
    return numbers


def without_sizes(text: str) -> str:
    """Drop the trees' sizes in bytes.

    LightGBM then reads one tree after another and reports a damaged tree. With wrong sizes it would end the process.
    """
    return "\n".join(line for line in text.split("\n") if not line.startswith(_SIZES))


def as_onnx_decides(text: str) -> str:
    """Return a model that decides as before for every float32, with thresholds and missing values as ONNX has them.

    - Every threshold is rounded down to a float32. A float32 x is at most t if and only if it is at most the largest
      float32 that is at most t. Rounding to the nearest float32, as the converter does, would send a value that equals
      a threshold to the other side.
    - LightGBM reads numbers of at most 1e-35 as 0. So thresholds between are moved to the end of that range.
    - A split that saw no missing value in training reads NaN as 0. ONNX sends NaN to a fixed side, so the split is
      told the side of 0.
    """
    lines = []
    thresholds = np.zeros(0, dtype=np.float32)
    for line in text.split("\n"):
        if line.startswith(_THRESHOLDS):
            thresholds = rounded_down(np.array(line.removeprefix(_THRESHOLDS).split(), dtype=np.float64))
            thresholds[(thresholds >= 0) & (thresholds < _ZERO)] = _ZERO
            thresholds[(thresholds < 0) & (thresholds >= -_ZERO)] = np.nextafter(-_ZERO, np.float32(-np.inf))
            lines.append(_THRESHOLDS + " ".join(repr(float(value)) for value in thresholds))
        elif line.startswith(_DECISIONS):
            decisions = np.array(line.removeprefix(_DECISIONS).split(), dtype=np.int64)
            reads_zero = (decisions & (_CATEGORICAL | _MISSING_TYPE)) == 0
            side = np.where(thresholds >= 0, _DEFAULT_LEFT, 0)
            lines.append(
                _DECISIONS + " ".join(map(str, np.where(reads_zero, _MISSING_IS_NAN | side, decisions)))
            )
        else:
            lines.append(line)
    return "\n".join(lines)


def rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is at most each value."""
    with np.errstate(over="ignore"):
        nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest).astype(np.float32)
