"""Commands over shared memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sharding.commands import Command
from services.sharding.shared_memory import SLOT_BYTES, RankSilent
from tests.services.sharding.memory_ranks import MemoryRanks, digest


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 50) | st.integers(SLOT_BYTES - 40, 3 * SLOT_BYTES), min_size=1, max_size=4)
)
def test_delivers_commands_of_any_length_completely_and_in_order(
    ranks: MemoryRanks, sizes: list[int]
) -> None:
    sent = []
    for number, size in enumerate(sizes):
        ranks.ask("command")
        payload = np.random.default_rng(size).bytes(size)
        ranks.member.commands.send(Command.RUN, number, payload)
        sent.append((Command.RUN, number, digest(payload)))
    assert [ranks.answers() for _ in sizes] == [[each] * len(ranks.pipes) for each in sent]


def test_does_not_overwrite_a_command_that_a_rank_has_not_read(three_ranks: MemoryRanks) -> None:
    for number in range(2):
        three_ranks.member.commands.send(Command.RUN, number, b"")
    with pytest.raises(RankSilent):
        three_ranks.member.commands.send(Command.RUN, 2, b"")
