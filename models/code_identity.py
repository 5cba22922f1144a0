"""Hash Python code, so that data is rebuilt only if the code that built it changes.

Comments, docstrings and layout do not count, so that a better sentence causes no rebuild.
"""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path


def hash_of_code(files: Iterable[Path]) -> str:
    """Return 16 hex digits over the code of the Python files, in the given order.

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
    """Return whether it is a string on its own: the docstring of a module, class, function or constant."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
