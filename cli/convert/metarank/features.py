"""Metarank's feature extractors, and the feature definitions that take their place.

A function converts one type of extractor. It returns the columns of the features, in the order of Metarank's vector.
"""

from collections.abc import Callable, Mapping

from cli.convert.draft import Draft
from cli.convert.metarank import counters, fields, requests
from cli.convert.section import Section

WITHOUT = {
    "position": "the position is known in training only. Leave it out of the vector, and correct for it in training",
    "random": fields.RANDOM,
    "diversity": "a feature cannot depend on the other candidates. The nearest is reranker.diversity, or a listwise "
    "model",
}


def convert_feature(draft: Draft, section: Section, label: str) -> list[str]:
    """Add the features of one extractor to the draft, with its findings.

    Returns:
        The columns, in the order of Metarank's vector. Empty if there is no counterpart.
    """
    place, kind = f"features.{label}", section.text("type")
    section.get("ttl")
    section.get("refresh")
    convert = CONVERTERS.get(kind)
    if convert is None:
        draft.none(place, WITHOUT.get(kind, f"unknown type of feature, got {kind!r}"))
        return []
    columns = convert(draft, section, label)
    draft.unread(section, place)
    return columns


CONVERTERS: Mapping[str, Callable[[Draft, Section, str], list[str]]] = {
    "number": fields.number,
    "boolean": fields.boolean,
    "string": fields.string,
    "vector": fields.vector,
    "word_count": fields.counted,
    "list_size": fields.counted,
    "interaction_count": counters.interaction_count,
    "window_count": counters.window_count,
    "rate": counters.rate,
    "interacted_with": counters.interacted_with,
    "referer": requests.referer,
    "ua": requests.user_agent,
    "local_time": requests.local_time,
    "item_age": fields.item_age,
    "field_match": requests.field_match,
    "relevancy": requests.relevancy,
}
