"""The text of a LightGBM model: checked before LightGBM reads it, and split into trees."""

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError

_SIZES = "tree_sizes="
END = "\nend of trees"
CATEGORICAL = 1
"""The bit of a split's decision type that marks a categorical split."""

Fields = dict[str, str]
"""The lines of a part of the text, by key."""


def parts_of(text: str) -> tuple[Fields, list[Fields]]:
    """Return the header and the trees."""
    header, *trees = text.partition(END)[0].split("\nTree=")
    return _fields(header), [_fields(tree) for tree in trees]


def check_trees(text: str, name: str) -> None:
    """Check that every tree is whole, because LightGBM follows wrong node numbers and ends the process.

    Raises:
        ArtifactError: a tree is damaged.
    """
    header, trees = parts_of(text)
    try:
        features = int(header["max_feature_idx"]) + 1
    except (KeyError, ValueError):
        raise ArtifactError(
            f"{name}: max_feature_idx is missing or no number; save the model again"
        ) from None
    if not trees:
        raise ArtifactError(f"{name}: the model has no trees; train it on more data")
    for number, tree in enumerate(trees):
        try:
            _check_tree(tree, features)
        except (KeyError, ValueError, IndexError) as error:
            problem = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            raise ArtifactError(
                f"{name}: tree {number} is damaged: {problem}; save the model again"
            ) from None


def _fields(text: str) -> Fields:
    # Flags such as average_output have no value.
    pairs = (line.rstrip("\r").partition("=") for line in text.split("\n"))
    return {key: value for key, _, value in pairs if key}


def _check_tree(fields: Fields, features: int) -> None:
    leaves = int(fields["num_leaves"])
    numbers(fields, "leaf_value", leaves)
    if is_linear(fields):
        _check_linear_leaves(fields, leaves, features)
    if leaves == 1:
        return
    splits = leaves - 1
    left, right, split, decision = (
        numbers(fields, key, splits).astype(np.int64)
        for key in ("left_child", "right_child", "split_feature", "decision_type")
    )
    threshold = numbers(fields, "threshold", splits)
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
    is_category = (decision & CATEGORICAL) != 0
    if not is_category.any():
        return
    bounds = numbers(fields, "cat_boundaries", categories + 1).astype(np.int64)
    numbers(fields, "cat_threshold", int(bounds[-1]))
    if bounds[0] != 0 or (np.diff(bounds) < 0).any():
        raise ValueError("cat_boundaries must rise from 0")
    if not ((threshold[is_category] >= 0) & (threshold[is_category] < categories)).all():
        raise ValueError("a split names a category set that is not there")


def is_linear(fields: Fields) -> bool:
    """Return whether the leaves of a tree have linear models instead of numbers."""
    return fields.get("is_linear", "0").strip() == "1"


def _check_linear_leaves(fields: Fields, leaves: int, features: int) -> None:
    numbers(fields, "leaf_const", leaves)
    counts = numbers(fields, "num_features", leaves)
    if (counts < 0).any():
        raise ValueError("num_features must not be negative")
    columns = numbers(fields, "leaf_features", int(counts.sum()))
    numbers(fields, "leaf_coeff", int(counts.sum()))
    if ((columns < 0) | (columns >= features)).any():
        raise ValueError(f"leaf_features must be below {features}")


def numbers(fields: Fields, key: str, count: int) -> NDArray[np.float64]:
    """Return the numbers of a line.

    Raises:
        KeyError: there is no such line.
        ValueError: it has another count of numbers, or text.
    """
    values = np.array(fields[key].split(), dtype=np.float64)
    if len(values) != count:
        raise ValueError(f"{key} has {len(values)} numbers, expected {count}")
    return values


def only_trees(text: str) -> str:
    """Return the header and the trees, without the parts in which an error ends the process.

    - Without the trees' sizes in bytes, LightGBM reads one tree after another and reports a damaged one.
    - It needs the parameters of the training for no prediction.
    """
    kept = text.partition(END)[0].split("\n")
    return "\n".join(line for line in kept if not line.startswith(_SIZES)) + f"{END}\n"
