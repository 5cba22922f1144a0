"""Activations over shared memory: they arrive complete and in order, also when all ranks send at once."""

import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sharding.shared_memory import RING_SLOTS, SLOT_BYTES, RankEnded, RankSilent
from tests.services.sharding.memory_ranks import LIMIT_S, MemoryRanks, digest, own_values

SLOT_VALUES = SLOT_BYTES // 4
SIZES = st.integers(-3, 50) | st.integers(SLOT_VALUES - 20, SLOT_VALUES) | st.integers(0, 3 * SLOT_VALUES)


@settings(max_examples=25)
@given(counts=st.lists(SIZES, min_size=1, max_size=8), seed=st.integers(0, 1000))
def test_messages_arrive_in_order_although_all_ranks_send_before_they_receive(
    ranks: MemoryRanks, counts: list[int], seed: int
) -> None:
    ranks.ask("pass_on", counts, seed)
    received, failed = ranks.member.pass_on(counts, seed)

    def sent_by(rank: int) -> list[bytes]:
        return [
            own_values((max(count, 0),), "float32", seed, rank).contiguous().numpy().tobytes()
            for count in counts
        ]

    numbers = [max(0, -count) for count in counts]
    assert [each.numpy().tobytes() for each in received] == sent_by(len(ranks.pipes))
    assert failed == numbers
    expected = [([digest(each) for each in sent_by(rank)], numbers) for rank in range(len(ranks.pipes))]
    assert ranks.answers() == expected


def test_more_than_all_slots_can_be_sent_at_once(three_ranks: MemoryRanks) -> None:
    counts = [SLOT_VALUES * RING_SLOTS * 2, 1]
    three_ranks.ask("pass_on", counts, 0)
    received, _ = three_ranks.member.pass_on(counts, 0)
    assert [len(each) for each in received] == counts
    assert [each is not None for each in three_ranks.answers()] == [True, True]


@pytest.mark.parametrize(
    ("counts", "lost"), [([8], 0), ([SLOT_VALUES * RING_SLOTS * 2], 1)], ids=["receive", "send"]
)
def test_all_ranks_stop_waiting_when_any_rank_is_killed(
    three_ranks: MemoryRanks, counts: list[int], lost: int
) -> None:
    three_ranks.processes[lost].kill()
    left = 1 - lost
    three_ranks.pipes[left].send(("pass_on", counts, 0))
    with pytest.raises(RankEnded, match=f"rank {lost + 1} has ended"):
        three_ranks.member.pass_on(counts, 0)
        three_ranks.member.pass_on(counts, 0)
    assert three_ranks.pipes[left].poll(LIMIT_S)


def test_a_wait_for_a_stopped_rank_ends_at_its_limit(three_ranks: MemoryRanks) -> None:
    pid = three_ranks.processes[1].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(RankSilent, match="rank 2 does not respond"):
        three_ranks.member.pass_on([8], 0)
