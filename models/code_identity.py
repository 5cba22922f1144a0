"""Hash Python code, so that data is rebuilt only if the code that built it changes.

Comments, docstrings and layout are not hashed.
"""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path


def hash_of_code(files: Iterable[Path]) -> str:
    """Hash the code in Python files, in the given order. Return 16 hex digits.

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
    """Return whether a statement is only a string, such as a docstring."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
