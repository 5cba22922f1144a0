"""Compare the code of two versions, without docstrings and comments.

    python -m tests.same_code main~3            # the working tree against a commit: only docstrings differ
    python -m tests.same_code main~3 --texts    # strings may differ too. Changed values in f-strings are listed
    python -m tests.same_code main~3 --names    # names may differ too. Each renaming is listed

A commit that edits prose must pass this. A file that was added, deleted or moved is reported as a difference.
"""

import argparse
import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IDENTIFIERS = frozenset({"id", "arg", "attr", "name", "asname", "names", "kwd_attrs", "rest"})


@dataclass
class Comparison:
    """A comparison of two versions: the permitted differences, and those that were found.

    Attributes:
        texts: strings may differ.
        names: identifiers may differ.
        differences: one line for each place that must not differ.
        renamed: the old and the new identifier, with the number of places.
        values: an f-string's expressions, before and after, if they differ.
    """

    texts: bool = False
    names: bool = False
    differences: list[str] = field(default_factory=list)
    renamed: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: list[str] = field(default_factory=list)

    def compare(self, old: str, new: str, name: str) -> None:
        """Compare two versions of the file ``name``."""
        self._node(without_docstrings(ast.parse(old)), without_docstrings(ast.parse(new)), name)

    def _node(self, old: object, new: object, path: str) -> None:
        if isinstance(new, ast.AST) and hasattr(new, "lineno"):
            path = f"{path.partition(':')[0]}:{new.lineno}"
        if self.texts and _is_text(old) and _is_text(new):
            before, after = (sorted(_values(side)) for side in (old, new))
            if before != after:
                self.values.append(f"{path}: {before} -> {after}")
        elif isinstance(old, ast.AST) and type(old) is type(new):
            for key in old._fields:
                self._field(key, getattr(old, key, None), getattr(new, key, None), path)
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            for before, after in zip(old, new, strict=True):
                self._node(before, after, path)
        elif old != new:
            self.differences.append(f"{path}: {_shown(old)} -> {_shown(new)}")

    def _field(self, key: str, old: object, new: object, path: str) -> None:
        if self.names and key in IDENTIFIERS and isinstance(old, str) and isinstance(new, str):
            if old != new:
                self.renamed[old, new] += 1
        else:
            self._node(old, new, path)


def without_docstrings(tree: ast.Module) -> ast.Module:
    """Return the tree without docstrings. A string below an attribute is one too."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [statement for statement in body if not _is_documentation(statement)]  # type: ignore[attr-defined]
    return tree


def _is_documentation(statement: object) -> bool:
    return isinstance(statement, ast.Expr) and _is_text(statement.value)


def _is_text(node: object) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    return isinstance(node, ast.JoinedStr)


def _values(node: object) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield from (ast.unparse(part) for part in node.values if isinstance(part, ast.FormattedValue))


def _shown(node: object) -> str:
    if isinstance(node, ast.AST):
        return ast.unparse(node).split("\n")[0][:80]
    return f"{len(node)} nodes" if isinstance(node, list) else repr(node)


def main(arguments: Sequence[str]) -> int:
    """Print the differences in all Python files. Return 1 if a difference is not permitted."""
    parser = argparse.ArgumentParser(prog="python -m tests.same_code", description=__doc__.split("\n")[0])
    parser.add_argument("base", help="a commit")
    parser.add_argument("--texts", action="store_true", help="strings may differ")
    parser.add_argument("--names", action="store_true", help="strings and names may differ")
    options = parser.parse_args(arguments)
    comparison = Comparison(texts=options.texts or options.names, names=options.names)
    for line in _git("diff", "--name-status", "--no-renames", options.base, "--", "*.py").splitlines():
        status, _, name = line.partition("\t")
        if status == "M":
            comparison.compare(_git("show", f"{options.base}:{name}"), (ROOT / name).read_text("utf-8"), name)
        else:
            comparison.differences.append(f"{name}: added, deleted or moved ({status})")
    for (old, new), count in comparison.renamed.most_common():
        print(f"renamed {old} -> {new} ({count} places)")
    for value in comparison.values:
        print(f"values {value}")
    print("\n".join(comparison.differences) or "the code is the same")
    return 1 if comparison.differences else 0


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
