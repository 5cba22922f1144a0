"""``rankway new`` asks on a terminal if it is unsure of a column."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from cli.new.columns import Choice
from cli.new.questions import ask
from cli.new.understanding import understand
from tests.models.datasets.files.shown import shown_rows
from tests.models.datasets.files.tables import shop_events, write


def test_the_user_gives_the_relevance_of_kinds_and_the_columns_of_impressions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = shown_rows()
    rows["what"] = rows.pop("user_id")
    rows["kind"] = ["click" if label else "view" for label in rows.pop("label")]
    found = understand({"impressions": str(write(tmp_path / "a.csv", rows))}, Choice())
    assert [question.field for question in found.open_questions] == [
        "column impressions.user",
        "column impressions.item",
        "kinds",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("what\nclick=0.3, view=0\n"))
    answered = ask(found, Console(file=io.StringIO()))
    assert answered.impressions is not None
    assert answered.impressions.user == "what"
    assert answered.impressions.kinds == {"click": 0.3, "view": 0.0}


def test_the_user_names_the_columns_by_number_or_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = shop_events()
    path = write(
        tmp_path / "a.csv", {"a": events["user_id"], "b": events["item_id"], "c": events["timestamp"]}
    )
    found = understand({"events": str(path)}, Choice())
    assert [question.field for question in found.open_questions] == [
        "column user",
        "column item",
        "column time",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n1\n\n"))
    answered = ask(found, Console(file=io.StringIO()))
    assert answered.columns is not None
    assert answered.columns.model_dump(exclude_none=True) == {"user": "a", "item": "b", "time": "c"}
    assert answered.open_questions == ()
