"""Compiling the event engine: numba, and a cache on disk that notices every edit."""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call of a compiled caller; kept on disk with that caller alone."""
    return cast(Function, numba.njit(error_model="numpy")(function))


def entered(function: Function) -> Function:
    """Compile what Python calls, and keep it on disk.

    Numba asks only the file of the function itself whether it changed; what it closes over counts too, so an entry
    must close over ``sources(__name__)``.
    """
    return cast(Function, numba.njit(error_model="numpy", cache=True)(function))


@cache
def sources(module: str) -> int:
    """Give a number that is another after any edit of ``module`` or of what it imports of our own."""
    digest = sha256()
    for path in imported(module):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "little")


def imported(module: str) -> list[Path]:
    """Give the files, sorted, of a module and of all that it imports, by whole names, of the same root package."""
    top = Path(__file__).parents[len(__name__.split(".")) - 1]
    paths, left = set[Path](), [module]
    while left:
        stem = top.joinpath(*left.pop().split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file() and path not in paths:
                paths.add(path)
                left += _imports(path)
    return sorted(paths)


def _imports(path: Path) -> Iterator[str]:
    """Give every name that may be a module's."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
