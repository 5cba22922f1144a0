"""Comments do not change the document that a reader of the YAML gets."""

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.convert.commented_yaml import Comments, dumped

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
KEYS = st.text(min_size=1, max_size=8)
LEAVES = (
    SCALARS | st.lists(SCALARS, max_size=3) | st.lists(st.dictionaries(KEYS, SCALARS, max_size=3), max_size=3)
)
DOCUMENTS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict | list):
        return [above]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [above, *(path for key, inner in items for path in paths(inner, (*above, str(key))))]


@settings(max_examples=50)
@given(DOCUMENTS.filter(bool), st.data())
def test_any_document_with_any_comments_is_read_back_unchanged(
    document: dict[str, Any], data: st.DataObject
) -> None:
    comments: Comments = {
        path: (data.draw(st.text(max_size=200)), "a second comment")
        for path in paths(document)
        if data.draw(st.booleans())
    }
    assert yaml.safe_load(dumped(document, comments, data.draw(st.text(max_size=30)))) == document


def test_a_comment_stands_above_its_value_at_the_same_depth() -> None:
    document = {"a": {"b": 1, "c": [2, 3]}, "rows": [{"x": 1}, {"x": 2}]}
    comments: Comments = {("a", "c"): ("two numbers",), ("rows", "1"): ("the second row",)}
    assert dumped(document, comments, "the head").splitlines() == [
        "# the head",
        "a:",
        "  b: 1",
        "  # two numbers",
        "  c: [2, 3]",
        "rows:",
        "- {x: 1}",
        "# the second row",
        "- {x: 2}",
    ]
