"""The memory order on this machine, with and without the fence, and through the transport itself."""

import pytest

from services.sharding.fence import new_full_fence
from services.sharding.shared_memory import is_supported
from tests.services.sharding.litmus import Mutant, stress
from tests.services.sharding.raw_litmus import message_passing, store_buffering

pytestmark = [
    pytest.mark.skipif(not is_supported(), reason="x86-64 and Linux only"),
    pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaWarning"),
]


def test_each_fence_uses_its_own_word_of_memory() -> None:
    first, second = new_full_fence(), new_full_fence()
    assert [first(), first(), second()] == [0, 1, 0]  # each fence adds to a word that only it uses


@pytest.mark.slow
def test_data_stored_before_a_counter_is_visible_after_the_counter() -> None:
    assert message_passing(0.5).violations == 0


@pytest.mark.slow
def test_with_the_fence_two_ranks_never_miss_each_others_stores() -> None:
    assert store_buffering(1.5, fenced=True).violations == 0
    if not store_buffering(1.0, fenced=False).violations:
        pytest.skip("this machine did not reorder the accesses without the fence either")


@pytest.mark.slow
def test_the_transport_loses_no_value_and_no_wake_up() -> None:
    result = stress(3.0)
    assert result.faults == []
    print(f"{result.sums} sums and {result.commands} commands")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "message"), [("early counter", "values are wrong"), ("flags first", "a wake-up was lost")]
)
def test_the_stress_test_detects_reordered_memory(mutant: Mutant, message: str) -> None:
    result = stress(10.0, mutant=mutant, limit_s=0.5)
    assert any(message in fault for fault in result.faults), f"{result}"
