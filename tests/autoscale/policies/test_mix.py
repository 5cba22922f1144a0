import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.policies.mix import Place, capacity_of, changed, cheapest, handed_over, price_of

SMALL, BIG = Place(500, 0.05, 0, 100), Place(9000, 0.6, 0, 100)


def test_little_is_cheapest_on_small_nodes_and_much_on_big_ones() -> None:
    assert cheapest(0, (SMALL, BIG)) == (0, 0)
    assert cheapest(900, (SMALL, BIG)) == (2, 0)
    assert cheapest(8500, (SMALL, BIG)) == (0, 1)
    assert cheapest(9900, (SMALL, BIG)) == (2, 1)


def test_what_cannot_be_taken_gets_all_there_is() -> None:
    assert cheapest(1e9, (SMALL, BIG)) == (100, 100)
    assert cheapest(2e5, (Place(500, 0.05, 0, 3), Place(9000, 0.6, 0, 2))) == (3, 2)


def test_replicas_stay_where_they_are_while_moving_saves_too_little() -> None:
    assert changed((4, 0), 5500, 5500, (SMALL, BIG), saving=0.1) == (11, 0)
    assert changed((4, 0), 8500, 8500, (SMALL, BIG), saving=0.1) == (0, 1)
    assert changed((0, 2), 4000, 4000, (SMALL, BIG), saving=0.1) == (8, 0)
    assert changed((0, 1), 5500, 5500, (SMALL, BIG), saving=0.1) == (0, 1)


def test_replicas_that_go_stay_until_those_that_come_are_ready() -> None:
    assert handed_over((0, 1), (10, 0), (10, 0), 4800, (SMALL, BIG)) == (10, 1)
    assert handed_over((0, 1), (10, 1), (10, 0), 2400, (SMALL, BIG)) == (5, 1)
    assert handed_over((0, 1), (10, 1), (10, 1), 4800, (SMALL, BIG)) == (0, 1)


PLACES = st.builds(
    lambda per_s, price, lowest, more: Place(per_s, price, lowest, lowest + more),
    st.floats(1, 1000),
    st.floats(0.01, 10),
    st.integers(0, 2),
    st.integers(0, 4),
)


@settings(max_examples=60)
@given(st.floats(0.01, 3000), st.lists(PLACES, min_size=1, max_size=3))
def test_a_mix_takes_the_load_if_any_does_and_costs_little_more_than_the_best(
    load: float, places: list[Place]
) -> None:
    mix = cheapest(load, places)
    assert all(place.lowest <= count <= place.most for count, place in zip(mix, places, strict=True))
    every = itertools.product(*(range(place.lowest, place.most + 1) for place in places))
    able = [other for other in every if capacity_of(other, places) >= load]
    if not able:
        assert mix == tuple(place.most for place in places)
        return
    assert capacity_of(mix, places) >= load * (1 - 1e-6)
    best = min(price_of(other, places) for other in able)
    assert price_of(mix, places) <= best + max(place.price for place in places)
