"""Sums over shared memory."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.sharding.shared_memory import SLOT_BYTES
from tests.services.sharding.memory_ranks import MemoryRanks, own_values


@settings(max_examples=25)
@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple)
    | st.integers(SLOT_BYTES // 4 - 2, SLOT_BYTES).map(lambda count: (count,)),
    dtype=st.sampled_from(["float32", "bfloat16", "float16"]),
    seed=st.integers(0, 1000),
)
def test_sum_is_bit_identical_to_adding_in_the_order_of_the_ranks(
    ranks: MemoryRanks, shape: tuple[int, ...], dtype: str, seed: int
) -> None:
    ranks.ask("total", shape, dtype, seed)
    total = ranks.member.total(shape, dtype, seed)
    expected = own_values(shape, dtype, seed, 0)
    for rank in range(1, len(ranks.pipes) + 1):
        expected = expected + own_values(shape, dtype, seed, rank)
    assert (total == expected).all()
    assert ranks.answers() == [expected.float().numpy().tobytes()] * len(ranks.pipes)
