"""Numbers beside the points of a chart."""

from hypothesis import given
from hypothesis import strategies as st

from models.compress.report.places import Places


@given(st.lists(st.tuples(st.floats(100, 400), st.floats(100, 300)), min_size=1, max_size=12))
def test_numbers_cover_neither_each_other_nor_a_point(found: list[tuple[float, float]]) -> None:
    places = Places(0, 0, 500, 400)
    for x, y in found:
        places.take_mark(x, y)
    labels = [places.label("10", x, y) for x, y in found]
    for index, label in enumerate(labels):
        for other in labels[:index]:
            assert abs(label.x - other.x) >= 14.9 or abs(label.y - other.y) >= 10.9
        assert all(abs(label.x - x) >= 11.9 or abs(label.y - y) >= 9.9 for x, y in found)


def test_full_chart_still_has_every_number() -> None:
    places = Places(0, 0, 60, 60)
    places.take(0, 0, 60, 60)
    label = places.label("1", 30, 30)
    assert (label.x, label.is_far) == (30, False)
