"""Read YAML documents, and find the line of a field."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from models.errors import DocumentError

Location = Sequence[int | str]
"""A field's path in a document: keys of mappings, and indices in lists."""


def read_document(path: Path, *, closed: bool = True) -> tuple[Any, str]:
    """Return the content of a YAML file, and its text.

    Args:
        path: the file.
        closed: whether to refuse a key that is given twice. This takes a slower parser.

    Raises:
        DocumentError: the file is missing, or is not YAML. The message names the file, the line and the remedy.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise DocumentError(
            f"{path}: cannot be read, because there is no such file{where}; correct the path"
        ) from None
    except IsADirectoryError:
        raise DocumentError(f"{path}: cannot be read, because it is a folder; name a YAML file") from None
    except OSError as error:
        raise DocumentError(
            f"{path}: cannot be read ({error.strerror}); let this user read the file"
        ) from error
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{path}: cannot be read, because byte {error.start} is no UTF-8; save it as UTF-8"
        ) from error
    try:
        return yaml.load(text, _ClosedLoader if closed else yaml.CSafeLoader), text
    except yaml.MarkedYAMLError as error:
        raise DocumentError(_fault(path, error)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(
            f"{path}:{line}: cannot be read as YAML: the control character {error.character:#04x} is not allowed; "
            f"remove it"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DocumentError(f"{path}: cannot be read as YAML: {reason}; correct the file") from error


def composed(text: str) -> yaml.Node | None:
    """Return a document's tree of fields for ``line_of``. None if there is none."""
    try:
        root: yaml.Node | None = yaml.compose(text, yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    return root


def line_of(root: yaml.Node | None, location: Location) -> int | None:
    """Return the line, counted from 1, of a field or of the nearest part of it that exists. None if none does."""
    node, line = root, None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


_REMEDIES = {
    "but found another document": "a second document begins here; keep one document in the file",
    r"found character '\t'": "there is a tab in front of the field; indent with spaces",
}
"""Clearer messages for some problems of the parser, by a part of its own message."""


class _ClosedLoader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys. PyYAML's own loader silently keeps the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"{key.value} is given twice; remove one of them", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _fault(path: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = str(path) if mark is None else f"{path}:{mark.line + 1}"
    problem = error.problem or "it is not YAML"
    if ";" in problem:  # with its own remedy
        return f"{place}: {problem}"
    if error.context is not None and error.context_mark is not None:
        problem += f", {error.context} that begins in line {error.context_mark.line + 1}"
    for part, remedy in _REMEDIES.items():
        if part in problem:
            return f"{place}: cannot be read as YAML: {remedy}"
    return f"{place}: cannot be read as YAML: {problem}; correct it, or close what is open"
