"""The imports inside a package: its levels, edges and circles.

    python -m tests.imports services [autoscale ...] [--root DIR]

A *room* is a folder or a file at the package's root. The *level* of a file or room is one more than the highest
level among its imports. Files that import each other in a circle share one level. Imports inside functions count for
levels but not for circles of files, because a kind imports its heavy implementation inside a function at its first use.
Files named ``__init__.py`` do not count, as they only explain their folder or re-export names.
"""

import argparse
import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Edges = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Graph:
    """Nodes, and edges from the importer to the imported node. No edge leads from a node to itself."""

    nodes: frozenset[str]
    edges: Edges

    def levels(self) -> dict[str, int]:
        """Return each node's level, starting at 1. Nodes in a circle share a level."""
        below = self._imported()
        levels: dict[str, int] = {}
        for circle in _components(below):
            lower = {node for member in circle for node in below[member]} - set(circle)
            levels.update(dict.fromkeys(circle, 1 + max((levels[node] for node in lower), default=0)))
        return levels

    def circles(self) -> list[list[str]]:
        """Return the sets of nodes that reach each other, each sorted."""
        return sorted(sorted(circle) for circle in _components(self._imported()) if len(circle) > 1)

    def _imported(self) -> dict[str, set[str]]:
        below = {node: set[str]() for node in self.nodes}
        for importer, imported in self.edges:
            below[importer].add(imported)
        return below


def _components(below: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Return the strongly connected components, imported nodes before their importers (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[tuple[str, ...]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(below[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            start = stack.index(node)
            components.append(tuple(stack[start:]))
            del stack[start:]

    for node in sorted(below):
        if node not in index:
            visit(node)
    return components


def files_graph(package: str, root: Path = ROOT, *, deferred: bool = True) -> Graph:
    """Return the graph of a package's files, named by their modules (``services.stages.base``).

    Args:
        package: name of the package.
        root: root of the repository.
        deferred: whether imports inside functions count.
    """
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts): path
        for path in sorted((root / package).rglob("*.py"))
        if path.name != "__init__.py"
    }
    edges = {
        (module, imported)
        for module, path in modules.items()
        for imported in imported_modules(path, deferred=deferred)
        if imported in modules and imported != module
    }
    return Graph(frozenset(modules), frozenset(edges))


def rooms_graph(package: str, root: Path = ROOT) -> Graph:
    """Return the graph of a package's folders and root files, named as in the package (``stages``, ``app``)."""
    files = files_graph(package, root)
    edges = {(room(importer), room(imported)) for importer, imported in files.edges}
    return Graph(frozenset(map(room, files.nodes)), frozenset(edge for edge in edges if edge[0] != edge[1]))


def room(module: str) -> str:
    """Return a module's folder or root file: ``stages`` for ``services.stages.base``."""
    return module.split(".")[1]


def imported_modules(source: Path, *, deferred: bool = True) -> Iterator[str]:
    """Yield the full name of every import in a file, both as a module and as a name in a module.

    Args:
        source: the file.
        deferred: whether imports inside functions count.
    """
    tree = ast.parse(source.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if deferred else _outside_functions(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _outside_functions(child)


def _summary(package: str, root: Path) -> Iterator[str]:
    files, rooms = files_graph(package, root), rooms_graph(package, root)
    circles = len(files_graph(package, root, deferred=False).circles()), len(rooms.circles())
    yield (
        f"{package}: {len(files.nodes)} files, {_counted(files)}, {circles[0]} circles; "
        f"{len(rooms.nodes)} rooms, {_counted(rooms)}, {circles[1]} circles"
    )
    levels = rooms.levels()
    for level in sorted(set(levels.values()), reverse=True):
        yield f"  {level:2}  {' '.join(sorted(name for name in levels if levels[name] == level))}"
    for circle in rooms.circles():
        yield f"  circle: {' '.join(circle)}"


def _counted(graph: Graph) -> str:
    return f"{max(graph.levels().values(), default=0)} levels, {len(graph.edges)} edges"


def main(arguments: Iterable[str] | None = None) -> None:
    """Print each named package's levels."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.imports", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("packages", nargs="*", default=["services"])
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout of the repository")
    options = parser.parse_args(None if arguments is None else list(arguments))
    for package in options.packages:
        print(*_summary(package, options.root), sep="\n")


if __name__ == "__main__":
    main()
