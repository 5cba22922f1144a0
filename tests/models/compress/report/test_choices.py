"""The recommended models: whole intervals decide, not point estimates."""

from models.compress.report.choices import choice_within
from models.compress.report.pareto import Point, points
from tests.models.compress.report.results import result, row


def label(point: Point | None) -> str | None:
    return None if point is None else point.row.label


def test_recommends_the_fastest_accepted_model_whose_whole_interval_is_within_the_loss() -> None:
    found = points(
        result(
            row("a/01-x", "accepted", 2.0, 0.005),
            row("b/01-x", "accepted", 3.0, 0.0095),
            row("c/01-x", "accepted", 5.0, 0.02),
            row("d/01-x", "rejected", 9.0, 0.001),
        )
    )
    for loss, within, maybe in (
        (0.001, "original", None),
        (0.01, "a/01-x", "b/01-x"),
        (0.0115, "b/01-x", None),
        (0.05, "c/01-x", None),
        (-0.1, None, None),
    ):
        choice = choice_within(found, loss)
        assert (label(choice.within), label(choice.maybe)) == (within, maybe)


def test_slower_model_is_not_named_because_of_its_point_estimate() -> None:
    found = points(result(row("a/01-x", "accepted", 4.0, 0.005), row("b/01-x", "accepted", 2.0, 0.0095)))
    choice = choice_within(found, 0.01)
    assert (label(choice.within), choice.maybe) == ("a/01-x", None)
