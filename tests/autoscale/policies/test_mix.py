import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.policies.mix import PoolOption, capacity_of, changed, cheapest_mix, handed_over, price_of

SMALL, BIG = PoolOption(500, 0.05, 0, 100), PoolOption(9000, 0.6, 0, 100)


def test_small_loads_use_small_nodes_and_large_loads_use_big_ones() -> None:
    assert cheapest_mix(0, (SMALL, BIG)) == (0, 0)
    assert cheapest_mix(900, (SMALL, BIG)) == (2, 0)
    assert cheapest_mix(8500, (SMALL, BIG)) == (0, 1)
    assert cheapest_mix(9900, (SMALL, BIG)) == (2, 1)


def test_load_that_is_too_large_gets_all_replicas() -> None:
    assert cheapest_mix(1e9, (SMALL, BIG)) == (100, 100)
    assert cheapest_mix(2e5, (PoolOption(500, 0.05, 0, 3), PoolOption(9000, 0.6, 0, 2))) == (3, 2)


def test_replicas_stay_in_their_pool_if_moving_saves_too_little() -> None:
    assert changed((4, 0), 5500, 5500, (SMALL, BIG), saving=0.1) == (11, 0)
    assert changed((4, 0), 8500, 8500, (SMALL, BIG), saving=0.1) == (0, 1)
    assert changed((0, 2), 4000, 4000, (SMALL, BIG), saving=0.1) == (8, 0)
    assert changed((0, 1), 5500, 5500, (SMALL, BIG), saving=0.1) == (0, 1)


def test_old_replicas_stay_until_their_replacements_are_ready() -> None:
    assert handed_over((0, 1), (10, 0), (10, 0), 4800, (SMALL, BIG)) == (10, 1)
    assert handed_over((0, 1), (10, 1), (10, 0), 2400, (SMALL, BIG)) == (5, 1)
    assert handed_over((0, 1), (10, 1), (10, 1), 4800, (SMALL, BIG)) == (0, 1)


OPTIONS = st.builds(
    lambda per_s, price, min_replicas, more: PoolOption(per_s, price, min_replicas, min_replicas + more),
    st.floats(1, 1000),
    st.floats(0.01, 10),
    st.integers(0, 2),
    st.integers(0, 4),
)


@settings(max_examples=60)
@given(st.floats(0.01, 3000), st.lists(OPTIONS, min_size=1, max_size=3))
def test_mix_serves_the_load_if_possible_at_nearly_the_lowest_cost(
    load: float, options: list[PoolOption]
) -> None:
    mix = cheapest_mix(load, options)
    assert all(
        option.min_replicas <= count <= option.max_replicas
        for count, option in zip(mix, options, strict=True)
    )
    every = itertools.product(*(range(option.min_replicas, option.max_replicas + 1) for option in options))
    able = [other for other in every if capacity_of(other, options) >= load]
    if not able:
        assert mix == tuple(option.max_replicas for option in options)
        return
    assert capacity_of(mix, options) >= load * (1 - 1e-6)
    best = min(price_of(other, options) for other in able)
    assert price_of(mix, options) <= best + max(option.price for option in options)
