"""Names that are new in a graph. A second step would otherwise write the names of the first again."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


class Names:
    """The names of a graph's values and nodes, and those that a step has chosen."""

    def __init__(self, model: "ModelProto", weights: Iterable[str]) -> None:
        """Collect the names of a model and of its weights."""
        graph = model.graph
        values = (*graph.input, *graph.output, *graph.value_info)
        self._taken = {value.name for value in values} | set(weights)
        self._taken |= {name for node in graph.node for name in _names_of(node)}
        self._chosen: set[str] = set()

    def copy(self) -> "Names":
        """Return the same names. Later choices in one do not change the other."""
        other = object.__new__(Names)
        other._taken, other._chosen = set(self._taken), set(self._chosen)
        return other

    def choose(self, wanted: str) -> str:
        """Return a new name. Names that continue it with an underscore are new too.

        It is the wanted name if possible, and otherwise has a number in front.
        """
        name, number = wanted, 1
        while self._is_known(name):
            number += 1
            name = f"{number}.{wanted}"  # in front, so that it continues no chosen name
        self._chosen.add(name)
        return name

    def _is_known(self, name: str) -> bool:
        known = (self._taken, self._chosen)
        if any(name in names for names in known):
            return True
        is_begun = any(each.startswith(f"{name}_") for names in known for each in names)
        return is_begun or any(name.startswith(f"{each}_") for each in self._chosen)


def names_read(node: "NodeProto") -> Iterator[str]:
    """Yield the names that a node reads, including those inside its branches and loops."""
    yield from node.input
    for inner in _inner_nodes(node):
        yield from names_read(inner)


def has_branches(nodes: "list[NodeProto]") -> bool:
    """Return whether a node has branches or a loop."""
    return any(attribute.graphs or attribute.HasField("g") for node in nodes for attribute in node.attribute)


def _names_of(node: "NodeProto") -> Iterator[str]:
    yield node.name
    yield from node.input
    yield from node.output
    for inner in _inner_nodes(node):
        yield from _names_of(inner)


def _inner_nodes(node: "NodeProto") -> "Iterator[NodeProto]":
    for attribute in node.attribute:
        for graph in (*attribute.graphs, attribute.g):
            yield from graph.node
