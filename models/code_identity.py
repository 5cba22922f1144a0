"""The identity of code: what was built by it is up to date as long as it means the same.

Comments, docstrings and layout do not count, so that a better sentence builds nothing anew.
"""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path


def hash_of_code(files: Iterable[Path]) -> str:
    """Give 16 hex digits over what the Python files do, in the given order.

    Raises:
        SyntaxError: a file is not Python.
    """
    digest = hashlib.sha256()
    for path in files:
        digest.update(_meaning(path.read_bytes()).encode())
    return digest.hexdigest()[:16]


def _meaning(source: bytes) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    """Whether it is a string that stands alone: a docstring, of a module, class, function or constant."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
