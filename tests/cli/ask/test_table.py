from typing import Any

import pytest

from cli.ask.table import chosen_properties, properties_of, show_answer

ANSWER: dict[str, Any] = {
    "items": [{"id": "a", "score": 1.25}, {"id": "b[/red]", "score": -2.0}],
    "degraded": None,
    "timings_ms": {"queue": 0.25, "ranker": 1.0},
}


@pytest.mark.parametrize(
    ("items", "names"),
    [
        ([{"name": "Loop", "summary": "long", "length_m": 3.5, "stairs": 2}], ["name", "length_m"]),
        ([{"id": "a", "type": "shoe", "attribution": "me", "price": 5}], ["price"]),
        ([{"text": "x" * 200, "loop": True, "tags": ["a"], "nothing": None}], []),
        ([{}, {"name": "second"}], ["name"]),
        ([], []),
    ],
)
def test_chooses_a_short_text_and_a_number(items: list[dict[str, Any]], names: list[str]) -> None:
    assert chosen_properties(items) == names


def test_properties_are_those_of_the_feature_or_the_whole_object() -> None:
    assert properties_of({"type": "Feature", "properties": {"name": "Loop"}}) == {"name": "Loop"}
    assert properties_of({"name": "Shoe", "properties": None}) == {"name": "Shoe", "properties": None}


def test_a_row_has_rank_id_score_and_properties(capsys: pytest.CaptureFixture[str]) -> None:
    show_answer(ANSWER, [{"name": "Loop", "attribution": "© me"}, {}], [])
    shown = capsys.readouterr().out
    assert [line.split() for line in shown.splitlines() if line.split()[:1] in (["1"], ["2"])] == [
        ["1", "a", "1.250", "Loop"],
        ["2", "b[/red]", "-2.000"],
    ]
    assert shown.endswith("1.2 ms in the service: queue 0.2, ranker 1.0\n© me\n")


def test_a_degraded_answer_is_marked_and_an_empty_one_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    show_answer({"items": [], "degraded": "ranker:popular:late", "timings_ms": {}}, [], ["name"])
    assert "degraded: ranker:popular:late" in capsys.readouterr().out
