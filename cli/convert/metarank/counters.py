"""Metarank's extractors that count a user's events, or compare them with the candidates."""

from cli.convert.draft import Draft, feature_name
from cli.convert.metarank.fields import SESSION
from cli.convert.section import Section
from models.features.definition import Group

_MAX_EVENTS = 1000


def _aggregates(
    draft: Draft, section: Section, label: str, windows: dict[str, float], extra: str = ""
) -> list[str]:
    """Add counts of a user's events, by name and window in seconds. Counts of items become columns."""
    place, scope, event = f"features.{label}", section.text("scope"), section.text("interaction")
    if scope not in {"user", "session"}:
        decide = f"Rankway aggregates events by user only: count {event} when you write the catalogue"
        group: Group = "global" if scope == "global" else "item"
        columns = [draft.feature(group, name, decide, dtype="int64") for name in windows]
        draft.decide(place, ", ".join(columns), decide)
        return columns
    decide = f"max_events bounds the stored events, so that larger counts are not seen.{extra}"
    decide += f" {SESSION}." if scope == "session" else ""
    group = "realtime" if scope == "session" else "user"
    columns = []
    for name, window_s in windows.items():
        if window_s <= 0:
            raise section.error("bucket", "expected a window above 0 s", window_s)
        aggregate = {
            "kind": "count",
            "event": feature_name(event),
            "window_s": window_s,
            "max_events": _MAX_EVENTS,
        }
        columns.append(draft.feature(group, name, decide, dtype="int64", aggregate=aggregate))
    draft.decide(place, ", ".join(columns), decide)
    return columns


def interaction_count(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert a count without an end into one in a window."""
    window_s = section.duration_s("ttl", 90 * 86_400.0)
    extra = " Metarank counts without an end, Rankway in a window"
    return _aggregates(draft, section, label, {label: window_s}, extra)


def _periods(section: Section, label: str) -> dict[str, float]:
    key = "bucket" if "bucket" in section else "bucket_size"
    bucket_s = section.duration_s(key, 86_400.0)
    periods = section.integers("periods") or section.integers("windows")
    if not periods:
        raise section.error("periods", "expected at least one number of buckets", periods)
    return {f"{label}_{period}": bucket_s * period for period in periods}


def window_count(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert counts in windows."""
    section.get("count")
    return _aggregates(draft, section, label, _periods(section, label))


def rate(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert the rate of two counts, by item."""
    place, scope = f"features.{label}", section.text("scope", "item")
    top, bottom, names = section.text("top"), section.text("bottom"), _periods(section, label)
    weight = section.section("normalize").number("weight")
    if scope.startswith("ranking."):
        draft.none(place, f"a rate for each pair of item and {scope}: Rankway has no features of such pairs")
        return []
    of = f" of each {scope}" if scope != "item" else ""
    decide = f"compute {top} / {bottom}{of} when you write the catalogue"
    decide += f", normalised with weight {weight:g}" if weight is not None else ""
    columns = [draft.feature("item", name, decide) for name in names]
    draft.decide(place, ", ".join(columns), decide)
    return columns


def interacted_with(draft: Draft, section: Section, label: str) -> list[str]:
    """Convert the overlap of a candidate with a user's items into the history of the user."""
    place, scope = f"features.{label}", section.text("scope")
    event, fields = section.text("interaction"), section.texts("field")
    length, window_s = section.integer("count", 100), section.duration_s("duration", 24 * 3600.0)
    if length < 1 or window_s <= 0:
        raise section.error("count", "expected a count and a duration above 0", (length, window_s))
    group: Group = "realtime" if scope == "session" else "user"
    decide = (
        f"the {event} items of the user. Rankway does not intersect them with the candidate: a history ranker "
        f"reads {', '.join(fields)} of both, or your model computes it"
    )
    aggregate = {"kind": "last_values", "event": feature_name(event), "field": "key", "window_s": window_s}
    shape = {"dtype": "int64", "ragged": True, "max_length": length, "aggregate": aggregate}
    column = draft.feature(group, f"{feature_name(event)}_history", decide, **shape)
    draft.decide(place, column, decide)
    return []
