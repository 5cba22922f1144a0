"""The repository's texts, in three groups: code, messages and Markdown.

- *code*: docstrings, and comments in Python, YAML and TOML files.
- *messages*: the strings that users see: errors, log lines, and the help for commands and fields.
- *markdown*: paragraphs, list items and table cells, without code blocks.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CODE, MESSAGES, MARKDOWN = "code", "messages", "markdown"
SHOWN_KEYWORDS = frozenset({"help", "description", "detail", "summary", "title"})
LOGGING_CALLS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log", "warn"})
SHOWING_CALLS = LOGGING_CALLS | {"print", "echo", "secho", "fail", "BadParameter"}
_SKIPPED_COMMENT = re.compile(r"#(!|\s*(type:|noqa|mypy:|pragma|fmt:|ruff:|yaml-language-server))")


@dataclass(frozen=True, slots=True)
class Text:
    """One docstring, block of comments, message or Markdown file."""

    path: Path
    line: int
    group: str
    text: str
    is_docstring: bool = False
    of_function: bool = False


def repository_texts(root: Path) -> Iterator[Text]:
    """Yield every text in the files that git tracks below the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in sorted(set(listed.stdout.split("\n")) - {""}):
        path = root / name
        if path.is_file() and not path.is_symlink():
            yield from file_texts(path, name)


def file_texts(path: Path, name: str) -> Iterator[Text]:
    """Yield one file's texts. ``name`` is its path from the root. A file of an unknown kind has none."""
    if path.suffix == ".py":
        source = path.read_text(encoding="utf-8")
        yield from _docstrings(source, path)
        yield from _python_comments(source, path)
        if not name.startswith("tests/"):
            yield from _messages(source, path)
    elif path.suffix in {".yaml", ".yml", ".toml"} and "/rendered/" not in name:
        yield from _comment_blocks(_line_comments(path.read_text(encoding="utf-8")), path)
    elif path.suffix == ".md":
        yield Text(path, 1, MARKDOWN, path.read_text(encoding="utf-8"))


def _docstrings(source: str, path: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body if isinstance(node, ast.ClassDef | ast.Module) else node.body[:1]:
            # A string below an attribute documents that attribute.
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                value = statement.value.value
                if isinstance(value, str):
                    yield Text(path, statement.lineno, CODE, value, True, function)


def _python_comments(source: str, path: Path) -> Iterator[Text]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [t for t in tokens if t.type == tokenize.COMMENT]
    yield from _comment_blocks(
        [(t.start[0], not t.line[: t.start[1]].strip(), t.string) for t in comments], path
    )


def _line_comments(source: str) -> list[tuple[int, bool, str]]:
    matches = (
        (number, re.search(r"(^|.*\s)(#.*)", line)) for number, line in enumerate(source.split("\n"), 1)
    )
    return [(number, not match[1].strip(), match[2]) for number, match in matches if match]


def _comment_blocks(comments: list[tuple[int, bool, str]], path: Path) -> Iterator[Text]:
    """Join the comments on consecutive lines. A comment behind code stands alone.

    Args:
        comments: line number, whether the line holds nothing else, and the comment.
        path: the file.
    """
    block: list[str] = []
    first = last = 0
    for number, alone, comment in comments:
        if _SKIPPED_COMMENT.match(comment):
            continue
        if not alone:
            yield Text(path, number, CODE, comment.lstrip("#").strip())
            continue
        if block and number != last + 1:
            yield Text(path, first, CODE, "\n".join(block))
            block = []
        first = number if not block else first
        block.append(comment.lstrip("#").strip())
        last = number
    if block:
        yield Text(path, first, CODE, "\n".join(block))


def _messages(source: str, path: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(source)):
        shown: list[ast.expr] = []
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            shown = [*node.exc.args, *(keyword.value for keyword in node.exc.keywords)]
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            shown = [keyword.value for keyword in node.keywords if keyword.arg in SHOWN_KEYWORDS]
            shown += node.args if called in SHOWING_CALLS else []
        for value in shown:
            text = _plain(value)
            if text.count(" ") >= 2:
                yield Text(path, value.lineno, MESSAGES, text)


def _plain(value: ast.expr) -> str:
    """Return the words of a string or f-string. A backticked X stands for each value in it."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return "".join(_plain(part) if isinstance(part, ast.Constant) else "`X`" for part in value.values)
    return ""
