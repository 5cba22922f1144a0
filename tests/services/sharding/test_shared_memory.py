"""Waiting over shared memory: a rank sleeps, is woken, and notices that another rank is lost."""

import os
import signal
import time

import psutil
import pytest

from services.sharding.commands import Command
from services.sharding.shared_memory import RankEnded, RankSilent
from tests.services.sharding.memory_ranks import LIMIT_S, MemoryRanks, digest


def test_a_rank_sleeps_during_a_long_wait_and_is_woken(ranks: MemoryRanks) -> None:
    ranks.ask("command")
    other = psutil.Process(ranks.processes[0].pid)
    until_s = time.monotonic() + LIMIT_S
    while other.status() != psutil.STATUS_SLEEPING and time.monotonic() < until_s:
        time.sleep(0.01)
    before = other.cpu_times()
    time.sleep(0.5)
    after = other.cpu_times()
    assert after.user + after.system - before.user - before.system < 0.1
    ranks.member.commands.send(Command.SYNC, 7, b"")
    assert ranks.answers() == [(Command.SYNC, 7, digest(b""))] * len(ranks.pipes)


def test_all_waits_end_when_a_rank_is_killed(three_ranks: MemoryRanks) -> None:
    three_ranks.pipes[1].send(("total", (8,), "float32", 0))
    three_ranks.processes[0].kill()
    with pytest.raises(RankEnded, match="rank 1 has ended"):
        three_ranks.member.total((8,), "float32", 0)
    assert three_ranks.pipes[1].recv() == "RankEnded"


def test_a_wait_for_a_stopped_rank_ends_at_its_limit(three_ranks: MemoryRanks) -> None:
    three_ranks.pipes[1].send(("total", (8,), "float32", 0))
    pid = three_ranks.processes[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(RankSilent, match="rank 1 does not respond"):
        three_ranks.member.total((8,), "float32", 0)
    assert three_ranks.pipes[1].recv() == "RankSilent"


def test_a_wait_for_a_command_ends_when_rank_0_has_ended(three_ranks: MemoryRanks) -> None:
    three_ranks.ask("command")
    three_ranks.member.memory.close()
    assert three_ranks.answers() == ["RankEnded"] * 2
