"""Trees of any library as one ONNX graph, whose splits decide exactly as the library's own.

Every split of the graph asks whether a float32 is at most a threshold. Other questions become such splits:

- x < t is x <= the largest float32 below t.
- "x is in a set of categories" becomes a chain of splits at the ends of the runs of categories.
- A range of numbers that are sent to a side of their own becomes two splits.

Several splits may share a subtree. ONNX Runtime allows this for the left side of a split, but not for the right side.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.importing.onnx_graph import replace_output

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Step = tuple[str, float | int | None]
"""An operator after the sum of the trees: its name, and a number if it needs one."""
INPUT = "features"
"""The input's name in converted graphs."""
OPSET, _ML_OPSET, _IR_VERSION = 15, 3, 8
_SUM = "sum_of_trees"


@dataclass(frozen=True, eq=False)
class Split:
    """A split: ``left`` if the column is at most ``threshold``, a float32, else ``right``.

    Attributes:
        missing_left: whether NaN is sent to the left.
    """

    column: int
    threshold: float
    missing_left: bool
    left: "Node"
    right: "Node"


@dataclass(frozen=True, eq=False)
class Leaf:
    """A value that is added to the score."""

    value: float


Node = Split | Leaf


def rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is at most each value.

    A float32 x is at most t if and only if it is at most this number. Rounding to the nearest float32 would send a
    value that equals a threshold to the other side.
    """
    with np.errstate(over="ignore"):  # beyond float32, the result is infinite or the largest finite number
        nearest = values.astype(np.float32)
        lower = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > values, lower, nearest).astype(np.float32)


def below(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is less than each value."""
    down = rounded_down(values)
    with np.errstate(over="ignore"):
        lower = np.nextafter(down, np.float32(-np.inf))
    return np.where(down == values, lower, down).astype(np.float32)


def member(
    column: int,
    categories: NDArray[np.int64],
    inside: Node,
    outside: Node,
    *,
    missing_inside: bool,
    negative: bool,
) -> Node:
    """Return a node that sends the given categories inside, and all other numbers outside.

    The category of a number is its whole part: 2.7 belongs to category 2.

    Args:
        column: the column.
        categories: the categories, from 0.
        inside: node for these categories.
        outside: node for all other numbers.
        missing_inside: whether NaN is sent inside.
        negative: whether numbers between -1 and 0 belong to category 0. Other negative numbers have no category.
    """
    known = np.unique(categories)
    if not len(known):
        return outside
    starts = known[np.concatenate([[True], np.diff(known) > 1])]
    ends = known[np.concatenate([np.diff(known) > 1, [True]])] + 1
    first = below(starts.astype(np.float64))
    if negative:
        first[starts == 0] = -1
    last = below(ends.astype(np.float64))
    node = outside
    for start, end in zip(first[::-1], last[::-1], strict=True):
        node = Split(column, float(end), missing_inside, inside, node)
        # If NaN belongs inside, it passes the splits whose left side is outside.
        node = Split(column, float(start), False, outside, node)
    return node


def edges(trees: Iterable[Node], width: int) -> tuple[NDArray[np.float32], ...]:
    """Return the thresholds by column."""
    found: list[set[float]] = [set() for _ in range(width)]
    for tree in trees:
        for node in _nodes(tree):
            if isinstance(node, Split):
                found[node.column].add(node.threshold)
    return tuple(np.array(sorted(values), dtype=np.float32) for values in found)


def graph_of(trees: Sequence[Node], width: int, output: str, steps: Sequence[Step]) -> "ModelProto":
    """Return the graph of the sum of some trees, followed by some operators.

    Args:
        trees: the roots.
        width: numbers in a row.
        output: name of the output.
        steps: operators on the sum, as for ``replace_output``.
    """
    from onnx import TensorProto, helper

    made = helper.make_graph(
        [_ensemble(trees)],
        INPUT,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(_SUM, TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    model: ModelProto = helper.make_model(made, opset_imports=opsets, ir_version=_IR_VERSION)
    replace_output(model, _SUM, output, steps)
    return model


def _ensemble(trees: Sequence[Node]) -> "NodeProto":
    from onnx import helper

    columns: dict[str, list[Any]] = {
        name: []
        for name in [
            "treeids",
            "nodeids",
            "featureids",
            "modes",
            "values",
            "missing_value_tracks_true",
            "truenodeids",
            "falsenodeids",
        ]
    }
    leaves: list[tuple[int, int, float]] = []
    for number, tree in enumerate(trees):
        nodes = _nodes(tree)
        ids = {id(node): index for index, node in enumerate(nodes)}
        for index, node in enumerate(nodes):
            if isinstance(node, Split):
                row = (node.column, "BRANCH_LEQ", node.threshold, int(node.missing_left))
                children = (ids[id(node.left)], ids[id(node.right)])
            else:
                row, children = (0, "LEAF", 0.0, 0), (0, 0)
                leaves.append((number, index, node.value))
            for column, value in zip(columns.values(), (number, index, *row, *children), strict=True):
                column.append(value)
    tree_ids, node_ids, weights = zip(*leaves, strict=True)
    attributes: dict[str, Any] = {f"nodes_{name}": values for name, values in columns.items()}
    return helper.make_node(
        "TreeEnsembleRegressor",
        [INPUT],
        [_SUM],
        domain="ai.onnx.ml",
        name="trees",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        target_treeids=tree_ids,
        target_nodeids=node_ids,
        target_ids=[0] * len(leaves),
        target_weights=weights,
        **attributes,
    )


def _nodes(root: Node) -> list[Node]:
    """Return every node of a tree once, the root first."""
    found: dict[int, Node] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in found:
            continue
        found[id(node)] = node
        if isinstance(node, Split):
            waiting += [node.left, node.right]
    return list(found.values())
