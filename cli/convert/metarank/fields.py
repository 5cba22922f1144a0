"""Metarank's extractors of plain values: numbers, flags, strings, lists and ages of items."""

import re

from cli.convert.draft import Draft
from cli.convert.section import Section
from models.features.definition import Group

COMPUTE = "compute it when you write the catalogue"
SESSION = "Rankway has no sessions: the value is kept by user, among the realtime features"
RANDOM = "Rankway's answers are reproducible, so there is no random feature"
_MOST_LISTED = 200
_SOURCE = re.compile(r"(\*|metadata|item|user|ranking|interaction:[A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")


def field_of(section: Section) -> tuple[str, str]:
    """Return the event and the field that an extractor reads."""
    key = "source" if "source" in section else "field"
    text = section.text(key)
    match = _SOURCE.fullmatch(text)
    if match is None:
        raise section.error(key, "expected <event>.<field>, such as item.price", text)
    return ("item" if match[1] == "metadata" else match[1]), match[2]


def _group(event: str, scope: str) -> tuple[Group | None, str]:
    """Return the group of a plain value, and the decision that it needs."""
    if event == "ranking":
        sent = "if callers send it for each item, move it to the group item, and send candidates as objects with it"
        return "context", sent if scope in {"item", ""} else ""
    if event.startswith("interaction"):
        return None, ""
    if event == "user":
        return ("realtime", SESSION) if scope == "session" else ("user", "")
    groups: dict[str, tuple[Group, str]] = {
        "user": ("user", ""),
        "session": ("realtime", SESSION),
        "global": ("global", "write it to an overlay"),
    }
    return groups.get(scope, ("item", ""))


def plain(
    draft: Draft, section: Section, label: str, names: dict[str, dict[str, object]], decide: str
) -> list[str]:
    """Add plain values, whose fields are given by name."""
    place = f"features.{label}"
    event, field = field_of(section)
    group, needed = _group(event, section.text("scope"))
    if group is None:
        draft.none(place, "interactions happen after the request, so they are no source of a plain value")
        return []
    needed = " ".join(part for part in (decide, needed) if part)
    columns = [draft.feature(group, name, needed, **fields) for name, fields in names.items()]
    target = ", ".join(columns)
    if needed:
        draft.decide(place, target, needed)
    else:
        draft.mapped(place, target, f"holds the field {event}.{field}")
    return columns


def number(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert a number."""
    return plain(draft, section, label, {label: {}}, "")


def boolean(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert a flag."""
    return plain(draft, section, label, {label: {"dtype": "uint8"}}, "")


def string(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert a string with known values, as a code or as one flag for each value."""
    values = section.texts("values")
    encode = section.text("encode", "onehot")  # Metarank's code, though its page says index
    if encode == "index":
        codes = _listed([f"{code} {value}" for code, value in enumerate(values, 1)])
        fields: dict[str, object] = {"dtype": "int32", "description": f"0 none or unknown, {codes}"}
        return plain(draft, section, label, {label: fields}, "")
    if not values:
        raise section.error("values", "expected at least one value", values)
    fields = {"dtype": "uint8", "shape": [len(values)], "description": f"1 for each of: {_listed(values)}"}
    return plain(draft, section, label, {label: fields}, "")


def _listed(values: list[str]) -> str:
    more = [f"and {len(values) - _MOST_LISTED} more"] if len(values) > _MOST_LISTED else []
    return ", ".join([*values[:_MOST_LISTED], *more])


def vector(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert a list of numbers, reduced to some of them."""
    names: dict[str, dict[str, object]] = {}
    for reducer in section.texts("reduce") or ["min", "max", "size", "avg"]:
        width = re.fullmatch(r"vector(\d{1,5})", reducer)
        if reducer == "random":
            draft.none(f"features.{label}.reduce.random", RANDOM)
        elif width is not None and int(width[1]) > 0:
            names[label if len(names) == 0 else f"{label}_{reducer}"] = {"shape": [int(width[1])]}
        else:
            names[f"{label}_{reducer}"] = {}
    reduced = any(not fields for fields in names.values())
    return plain(
        draft, section, label, names, f"{COMPUTE}: Rankway does not reduce lists." if reduced else ""
    )


def counted(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert a count of words, or of the elements of a list."""
    return plain(draft, section, label, {label: {"dtype": "int32"}}, f"{COMPUTE}.")


def item_age(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert the age of an item."""
    decide = "Rankway has no ages of items: write the age in seconds into each new catalogue."
    section.get("scope")
    return plain(draft, section, label, {label: {}}, decide)
