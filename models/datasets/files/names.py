"""How well the name of a column fits a role."""

import re

_NAMES: dict[str, frozenset[str]] = {
    role: frozenset(names.split())
    for role, names in {
        "user": "user customer visitor client member account person shopper buyer reviewer subscriber reader viewer "
        "listener uid session",
        "item": "item product sku stock article movie film book song track video listing asin isbn offer content news "
        "recipe restaurant hotel place poi game course ad document doc post job property show",
        "time": "time timestamp ts date datetime at when created unixtime epoch day",
        "kind": "event kind action type behavior behaviour interaction activity",
        "list": "request impression impressions list slate query serve page feed search recommendation",
        "position": "position pos rank slot place index",
        "label": "label labels clicked click clicks relevance target y converted conversion purchased bought liked "
        "grade outcome",
        "value": "rating value quantity qty score stars amount count weight strength plays",
    }.items()
}
_SUFFIXES = frozenset(["id", "ids", "key", "code", "no", "nr", "number", "uuid", "guid", "hash"])


def words_of(name: str) -> list[str]:
    """Return the words of a column name: "CustomerID" and "customer_id" have the words customer and id."""
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])", r"\1\3 \2\4", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def name_score(role: str, name: str) -> float:
    """Return how well a column name fits a role, from 0 to 1."""
    words = words_of(name)
    names = _NAMES[role]
    if "".join(words) in names:
        return 0.95
    while len(words) > 1 and words[-1] in _SUFFIXES:
        words = words[:-1]
    if words and words[-1] in names:
        return 0.95 if len(words) == 1 else 0.8
    joined = "".join(words)
    return 0.9 if any(joined == f"{name}{suffix}" for name in names for suffix in _SUFFIXES) else 0.0
