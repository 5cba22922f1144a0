"""Compiles the event engine with numba. Every source edit invalidates the cache on disk."""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Mark a function that compiled code calls. It is compiled and cached on disk as part of its caller."""
    return cast(Function, numba.njit(error_model="numpy")(function))


def entered(function: Function) -> Function:
    """Mark a function that Python calls. It is compiled at its first call, and cached on disk.

    Numba checks only the function's own file for changes, and the values that the function closes over. Therefore the
    function must close over ``sources(__name__)``.
    """
    return cast(Function, numba.njit(error_model="numpy", cache=True)(function))


@cache
def sources(module: str) -> int:
    """Return a hash over the source files of ``module`` and its imports from the same root package."""
    digest = sha256()
    for path in imported(module):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "little")


def imported(module: str) -> list[Path]:
    """Return the files of a module and of the modules that it imports, directly or indirectly, sorted.

    Imports by relative names, and files outside the root package's folder, are left out.
    """
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
    """Yield every imported name that may be a module."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
