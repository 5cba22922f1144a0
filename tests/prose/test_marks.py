"""The counters of hard prose."""

from pathlib import Path

import pytest

from tests.prose.marks import marks, over_bounds, sentences, tally
from tests.prose.texts import CODE, MARKDOWN, MESSAGES, Text, file_texts

PLAIN = "Return the queue length. "


def text_of(text: str, group: str = CODE, *, of_function: bool = False) -> Text:
    return Text(Path("module.py"), 1, group, text, of_function=of_function)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Return what waits.", "what"),
        ("Return the length; the queue may be empty.", ";"),
        ("word " * 41 + ".", "long"),
        ("Read the file anew.", "word"),
    ],
)
def test_marks_are_found_among_plain_sentences(text: str, kind: str) -> None:
    assert [mark.kind for mark in marks(text_of(PLAIN + text + " " + PLAIN))] == [kind]


@pytest.mark.parametrize("text", ["``what``", '"what waits"', "`a; b`", "https://host/what;x"])
def test_code_quotations_and_links_are_not_marked(text: str) -> None:
    assert list(marks(text_of(f"Return the name {text} of the queue."))) == []


def test_only_docstrings_of_functions_have_refused_openings() -> None:
    assert [mark.kind for mark in marks(text_of("Give the length.", of_function=True))] == ["opening"]
    assert list(marks(text_of("Give it time."))) == []


def test_list_items_table_cells_and_sections_are_sentences_of_their_own() -> None:
    docstring = "Return the length.\n\nArgs:\n    queue: the queue to read\n    limit: at most this\n"
    assert len(list(sentences(text_of(docstring)))) == 3
    page = "Some text\n\n- one item\n- another item\n\n| a cell | and another |\n"
    assert len(list(sentences(text_of(page, MARKDOWN)))) == 5


def test_text_in_code_blocks_is_not_marked() -> None:
    page = "Text.\n\n```bash\nwhat; what\n```\n\n    what; indented\n\nMore text.\n"
    assert list(marks(text_of(page, MARKDOWN))) == []


def test_texts_of_a_module_are_docstrings_comments_and_messages(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""A module."""\n\n# A comment\n# of two lines.\ndef ask() -> None:\n    """Ask."""\n'
        '    raise ValueError(f"k: too large, got {1}; lower it")  # a reason\n'
    )
    texts = {(text.group, text.text) for text in file_texts(path, "package/module.py")}
    assert texts == {
        (CODE, "A module."),
        (CODE, "A comment\nof two lines."),
        (CODE, "Ask."),
        (CODE, "a reason"),
        (MESSAGES, "k: too large, got `X`; lower it"),
    }


def test_only_counts_above_a_bound_are_reported() -> None:
    plain = [text_of(PLAIN * 200)]
    assert over_bounds(CODE, tally(plain)) == []
    hard = [*plain, text_of("Return what waits; and what is late. " * 3)]
    assert len(over_bounds(CODE, tally(hard))) == 2
    assert over_bounds(MESSAGES, tally([text_of("a; b; c. " * 9, MESSAGES)])) == []
