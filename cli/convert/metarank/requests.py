"""Metarank's extractors of values that only the request has: its time, its texts, and the caller's browser."""

from cli.convert.draft import Draft, feature_name
from cli.convert.metarank.fields import field_of
from cli.convert.section import Section

_MEDIUMS = ("unknown", "search", "internal", "social", "email", "paid")
_UA_FIELDS = {
    "platform": ("mobile", "desktop", "tablet"),
    "os": ("ios", "android", "windows", "linux", "macos", "chrome os"),
    "browser": ("safari", "chrome", "firefox", "opera", "ie", "other"),
    "bot": ("bot",),
}


def _one_hot_of_request(
    draft: Draft, place: str, label: str, values: tuple[str, ...], what: str
) -> list[str]:
    decide = f"the caller reads {what} and sends 1 for each of: {', '.join(values)}"
    column = draft.feature("context", label, decide, dtype="uint8", shape=[len(values)])
    draft.decide(place, column, decide)
    return [column]


def referer(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert the medium of a referer."""
    section.get("source")
    section.get("scope")
    return _one_hot_of_request(draft, f"features.{label}", label, _MEDIUMS, "the referer")


def user_agent(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert a part of the user agent."""
    section.get("source")
    field = section.text("field")
    if field not in _UA_FIELDS:
        raise section.error("field", f"expected one of {', '.join(_UA_FIELDS)}", field)
    return _one_hot_of_request(draft, f"features.{label}", label, _UA_FIELDS[field], "the user agent")


def local_time(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert a part of the time. In UTC it is computed, otherwise the caller sends it."""
    place, parse = f"features.{label}", section.text("parse")
    _, field = field_of(section)
    now = "context.now_s"
    if field == "timestamp" and parse in {"time_of_day", "day_of_week", "second"}:
        day = {"kind": "cycle", "of": now, "period": 604_800.0, "offset": 259_200.0, "unit": 86_400.0}
        if parse == "day_of_week":  # 1970 began on a Thursday. Monday is 1
            draft.feature("context", f"{label}_in_days", dtype="float64", transform=day)
            of = f"context.{feature_name(label)}_in_days"
            transform: dict[str, object] = {
                "kind": "buckets",
                "of": of,
                "edges": [float(e) for e in range(7)],
            }
        elif parse == "time_of_day":
            transform = {"kind": "cycle", "of": now, "period": 86_400.0, "unit": 3600.0}
        else:
            transform = {"kind": "affine", "of": now}
        column = draft.feature("context", label, dtype="float64", transform=transform)
        draft.mapped(place, column, f"computed from {now}, in UTC")
        return [column]
    decide = f"the caller sends {parse} in its own time zone"
    column = draft.feature("context", label, decide)
    draft.decide(place, column, decide)
    return [column]


def relevancy(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert the score that callers send for each item of a ranking event."""
    section.get("scope")
    decide = "callers send candidates as objects with this feature. Write 0 into the catalogue"
    column = draft.feature("item", label, decide)
    draft.decide(f"features.{label}", column, decide)
    return [column]


def field_match(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert the match of two texts."""
    place, method = f"features.{label}", section.section("method")
    query, text = section.text("rankingField"), section.text("itemField")
    section.get("distance")
    kind = method.text("type")
    if kind == "cross-encoder":
        column = draft.feature("context", "query", dtype="text", max_length=512)
        draft.decide(
            place,
            column,
            f"score {query} and {text} with a text ranker as a stage of its own, not as a feature",
        )
        return []
    if kind == "bi-encoder":
        width = method.integer("dim", 0)
        if width < 1:
            raise method.error("dim", "expected a width above 0", width)
        decide = "embed both texts before. The cosine belongs into your model's graph"
        of_query = draft.feature("context", f"{label}_query", decide, shape=[width])
        of_item = draft.feature("item", f"{label}_item", decide, shape=[width])
        draft.decide(place, f"{of_query}, {of_item}", decide)
        return [of_query, of_item]
    draft.none(
        place,
        f"{kind} of {query} and {text}: Rankway has no text search. Let a search engine send candidates",
    )
    return []
