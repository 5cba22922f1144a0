"""The guard for prose commits reports each change of code, and accepts changed texts."""

import pytest

from tests.same_code import Comparison

OLD = '''
def wait(limit):
    """Give how long."""
    # A comment.
    place = limit + 1
    raise ValueError(f"limit is {limit}")
'''


def compared(new: str, *, texts: bool = False, names: bool = False) -> Comparison:
    comparison = Comparison(texts=texts or names, names=names)
    comparison.compare(OLD, new, "module.py")
    return comparison


def test_docstrings_and_comments_may_differ() -> None:
    new = OLD.replace("Give how long.", "Return the time.").replace("# A comment.", "# Another.")
    assert compared(new).differences == []


def test_a_message_may_differ_only_in_a_commit_of_texts() -> None:
    new = OLD.replace("limit is {limit}", "limit: too large, got {place}")
    assert compared(new).differences != []
    assert compared(new, texts=True).differences == []
    assert compared(new, texts=True).values == ["module.py:6: ['{limit}'] -> ['{place}']"]


def test_a_renaming_is_listed() -> None:
    new = OLD.replace("place", "index")
    assert compared(new, texts=True).differences != []
    assert dict(compared(new, names=True).renamed) == {("place", "index"): 1}


@pytest.mark.parametrize("change", [("+ 1", "+ 2"), ("ValueError", "KeyError()"), ("+ 1", "- 1")])
def test_a_change_of_code_is_a_difference_in_every_mode(change: tuple[str, str]) -> None:
    assert compared(OLD.replace(*change), names=True).differences != []
