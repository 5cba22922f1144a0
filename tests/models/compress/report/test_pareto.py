"""The Pareto front."""

from hypothesis import given
from hypothesis import strategies as st

from models.compress.report.pareto import fastest_within, front, points
from tests.models.compress.report.results import result, row

SPEED, LOSS = st.floats(0.5, 20.0), st.floats(-0.01, 0.2)
STATE = st.sampled_from(["accepted", "rejected"])


@given(st.lists(st.tuples(STATE, SPEED, LOSS), max_size=12))
def test_no_accepted_point_beats_one_on_the_front(drawn: list[tuple[str, float, float]]) -> None:
    steps = [
        row(f"b{index}/01-x", "accepted" if state == "accepted" else "rejected", speed, loss)
        for index, (state, speed, loss) in enumerate(drawn)
    ]
    found = points(result(*steps))
    best = front(found)
    accepted = [point for point in found if point.is_accepted]
    for point in best:
        assert point.is_accepted
        assert not any(
            other.speedup >= point.speedup
            and other.loss <= point.loss
            and (other.speedup, other.loss) != (point.speedup, point.loss)
            for other in accepted
        )
    for point in accepted:
        assert any(other.speedup >= point.speedup and other.loss <= point.loss for other in best)
    assert [point.speedup for point in best] == sorted(point.speedup for point in best)


def test_fastest_model_within_a_loss_was_accepted() -> None:
    found = points(
        result(
            row("a/01-x", "accepted", 2.0, 0.005),
            row("b/01-x", "accepted", 5.0, 0.02),
            row("c/01-x", "rejected", 9.0, 0.001),
        )
    )
    chosen = [fastest_within(found, loss) for loss in (0.001, 0.01, 0.05)]
    assert [point.row.label for point in chosen if point is not None] == ["original", "a/01-x", "b/01-x"]
    assert fastest_within(found, -0.1) is None
