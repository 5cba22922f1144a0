"""YAML with comments above values. PyYAML writes none."""

import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

Path = tuple[str, ...]
Comments = Mapping[Path, tuple[str, ...]]
_WIDTH = 100


def dumped(document: Mapping[str, Any], comments: Comments, head: str = "") -> str:
    """Return a mapping as YAML text.

    Mappings are written in block style. Lists are too, with each element on one line.

    Args:
        document: mappings, lists and scalars.
        comments: the comments above a value, by its path. An element of a list has its index in the path.
        head: the comment at the top of the file.
    """
    lines = _comment(head, "")
    for key, value in document.items():
        lines += _entry((key,), value, comments, 0)
    return "\n".join(lines) + "\n"


def _entry(path: Path, value: Any, comments: Comments, depth: int) -> list[str]:
    indent = "  " * depth
    lines = [line for text in comments.get(path, ()) for line in _comment(text, indent)]
    key = _flow(path[-1])
    if isinstance(value, Mapping) and value:
        lines.append(f"{indent}{key}:")
        for name, inner in value.items():
            lines += _entry((*path, name), inner, comments, depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        lines.append(f"{indent}{key}:")
        for index, element in enumerate(value):
            above = comments.get((*path, str(index)), ())
            lines += [line for text in above for line in _comment(text, indent)]
            lines.append(f"{indent}- {_flow(element)}")
    else:
        lines.append(f"{indent}{key}: {_flow(value)}")
    return lines


def _flow(value: Any) -> str:
    text = _yaml(value, style=None)
    # Line breaks would need the indentation of their place. In double quotes they are escaped.
    return text if text.isprintable() else _yaml(value, style='"')


def _yaml(value: Any, *, style: str | None) -> str:
    text = yaml.safe_dump(
        value,
        default_style=style,
        default_flow_style=True,
        width=float("inf"),
        sort_keys=False,
        allow_unicode=style is None,
    )
    return str(text).removesuffix("\n").removesuffix("\n...")


def _comment(text: str, indent: str) -> list[str]:
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return textwrap.wrap(
        words,
        _WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
