"""The Pareto front."""

from hypothesis import given
from hypothesis import strategies as st

from models.compress.report.pareto import front, points
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
