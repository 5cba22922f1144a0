"""Which rung a batch can afford."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ragged import RaggedBatch
from services.ladder import Budget, Choice, Ladder, Rung

INF = float("inf")


class Idle:
    """A stage that adds nothing."""

    name = "idle"

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        return batch


def ladder(*times_s: float) -> Ladder:
    """Give a ladder whose rungs were just seen to take these times."""
    rungs = [Rung(str(place), Idle()) for place in range(len(times_s))]
    for rung, elapsed_s in zip(rungs, times_s, strict=True):
        rung.done(100, elapsed_s, 0.0)
    return Ladder("ranker", rungs)


@pytest.mark.parametrize(
    ("budget", "choice"),
    [
        (Budget(INF, INF), Choice(0, None)),
        (Budget(0.05, INF), Choice(1, "late")),
        (Budget(INF, 0.05), Choice(1, "load")),
        (Budget(0.05, 0.02), Choice(1, "late")),
        (Budget(0.001, INF), Choice(None, "late")),
        (Budget(INF, 0.001), Choice(None, "load")),
    ],
)
def test_the_best_rung_within_the_budget_is_chosen_and_why_no_better(budget: Budget, choice: Choice) -> None:
    assert ladder(0.1, 0.01).choose(100, budget, 0.0) == choice


def test_a_rung_that_fails_is_left_alone_then_tried_by_one_batch_and_used_again() -> None:
    steps = ladder(0.1, 0.01)
    plenty = Budget(INF, INF)
    for _ in range(3):
        assert steps.choose(100, plenty, 1.0).place == 0
        steps.rungs[0].failed(1.0)
    assert steps.choose(100, plenty, 1.1) == Choice(1, "failed")
    assert steps.expected_s(100, 1.1) == pytest.approx(0.01, rel=0.1)
    assert steps.choose(100, plenty, 1.6) == Choice(0, None)
    assert steps.choose(100, plenty, 1.6) == Choice(1, "failed")  # its probe is under way
    steps.rungs[0].done(100, 0.1, 1.7)
    assert steps.choose(100, plenty, 1.7) == Choice(0, None)


def test_a_batch_that_fell_is_not_lifted_again() -> None:
    assert ladder(0.1, 0.01).choose(100, Budget(INF, INF), 0.0, first=1) == Choice(1, None)
    assert ladder(0.1, 0.01).choose(100, Budget(INF, INF), 0.0, first=2) == Choice(None, None)


@given(st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=4), st.floats(0, 2.0), st.floats(0, 2.0))
def test_no_rung_above_the_choice_fits_and_the_choice_does(
    times_s: list[float], left_s: float, share_s: float
) -> None:
    choice = ladder(*times_s).choose(100, Budget(left_s, share_s), 0.0)
    most_s = min(left_s, share_s)
    above = times_s if choice.place is None else times_s[: choice.place]
    assert all(each > most_s for each in above)
    assert choice.place is None or times_s[choice.place] <= most_s
    assert (choice.why is None) == (choice.place == 0)
