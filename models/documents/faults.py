"""Report the faults that pydantic finds in a document, each on its own line: file, line, field, problem, remedy."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import Repr
from typing import Any

from pydantic import BaseModel, ValidationError

from models.documents.fields import fields_at
from models.documents.reading import composed, line_of

_MOST_LINES = 20
_CONTAINER_TYPES = {"tuple_type", "list_type", "dict_type", "model_type", "mapping_type"}


@dataclass(frozen=True, slots=True)
class _Fault:
    """One error of pydantic.

    Attributes:
        location: the field's path in the document.
        branch: the position of the union in ``location`` and the name of its branch, if the field is in a union.
        error: pydantic's details.
    """

    location: tuple[int | str, ...]
    branch: tuple[int, str] | None
    error: Mapping[str, Any]


def fault_lines(
    error: ValidationError, data: Any, model: type[BaseModel], source: str, text: str | None = None
) -> list[str]:
    """Return a line for each fault in ``data``, at most 20, and the number of further faults.

    Args:
        error: the error that validating ``data`` raised.
        data: the document.
        model: the model that ``data`` was validated with.
        source: the document's name, such as its path.
        text: the document's text. With it, each line has the field's line number.
    """
    faults = _likely_branches([_located(fault, data) for fault in error.errors(include_url=False)], data)
    root = None if text is None else composed(text)
    lines = []
    for fault in faults[:_MOST_LINES]:
        line = line_of(root, fault.location)
        place = source if line is None else f"{source}:{line}"
        lines.append(f"{place}: {_description(fault, data, model)}")
    more = len(faults) - _MOST_LINES
    return list(dict.fromkeys(lines)) + ([f"{source}: {more:,} more faults"] if more > 0 else [])


def _description(fault: _Fault, data: Any, model: type[BaseModel]) -> str:
    field = ".".join(map(str, fault.location))
    kind, value = fault.error["type"], fault.error["input"]
    if kind == "extra_forbidden":
        known = fields_at(model, fault.location[:-1], data)
        close = get_close_matches(str(fault.location[-1]), known, n=1)
        remedy = f"did you mean {close[0]}?" if close else "remove it or correct its name"
        return f"{field}: no such field; {remedy}"
    if kind == "missing":
        return f"{field}: missing; add it"
    if kind in {"tuple_type", "list_type"}:
        return f"{field}: expected a list, got {_excerpt(value)}"
    if field and kind in {"model_type", "dict_type", "mapping_type"}:
        return f"{field}: expected a mapping, got {_excerpt(value)}"
    if kind == "unknown_kind":
        known_kinds = str(fault.error["msg"]).removeprefix("kind ")
        return f"{field}.kind: {known_kinds}, got {_excerpt(value['kind'])}; use one of these"
    if kind == "invalid_key":
        named = f"{field}: " if field else ""
        return f"{named}expected text as the name of a field, got {_excerpt(value)}; correct the name, or quote it"
    message = str(fault.error["msg"]).removeprefix("Value error, ")
    shown = "" if isinstance(value, dict) or ", got " in message else f", got {_excerpt(value)}"
    # A rule about several fields has no field of its own. Its message names the fields.
    return f"{field}: {message}{shown}" if field else message


class _Short(Repr):
    """Represents the beginning of a value, as Python code. A few anchors in YAML can make a value of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict, self.maxstring, self.maxother = 2, 4, 4, 200, 200

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 1000 else f"a number of {x.bit_length()} bits"


_excerpt = _Short().repr


def _located(error: Mapping[str, Any], data: Any) -> _Fault:
    """Return a fault's path in the data. Pydantic's own path also has the names of kinds and of union branches."""
    location: list[int | str] = []
    branch: tuple[int, str] | None = None
    path = error["loc"]
    for index, part in enumerate(path):
        is_missing = error["type"] == "missing" and index == len(path) - 1
        if isinstance(data, dict) and (part in data or is_missing):
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int):
            data = data[part] if part < len(data) else None
        elif isinstance(data, dict) and part == data.get("kind"):
            continue  # the kind of a union that ``kind`` decides has no other branches
        else:
            branch = branch or (len(location), str(part))
            continue
        location.append(part)
    return _Fault(tuple(location), branch, error)


def _likely_branches(faults: list[_Fault], data: Any) -> list[_Fault]:
    """Drop the faults of union branches that the author did not mean."""
    unions: dict[tuple[int | str, ...], dict[str, list[_Fault]]] = {}
    for fault in faults:
        if fault.branch is not None:
            position, name = fault.branch
            unions.setdefault(fault.location[:position], {}).setdefault(name, []).append(fault)
    kept = {
        id(fault)
        for branches in unions.values()
        for fault in min(branches.values(), key=lambda branch: _unlikelihood(branch, data))
    }
    return [fault for fault in faults if fault.branch is None or id(fault) in kept]


def _unlikelihood(branch: list[_Fault], data: Any) -> tuple[bool, int, int]:
    """Return a key that is lowest for the likeliest branch: it takes this type, and understands most of the value."""
    is_of_other_type = any(fault.error["type"] in _CONTAINER_TYPES for fault in branch)
    return is_of_other_type, -max(len(fault.location) for fault in branch), len(branch)
