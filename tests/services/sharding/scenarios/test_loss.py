"""Faults that end a shard group, and an idle time that does not."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from services.errors import ShardLost
from services.sharding.heartbeat import HeartbeatMonitor, answer_heartbeats
from tests.services.sharding.running_group import TIMEOUT_S, TRANSPORTS, RunningGroup

LIMIT_S = 30.0
ANSWER_LIMIT_S = 1.0
"""The health check returns within this time while no models are to be dropped."""


@pytest.fixture(params=TRANSPORTS)
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningGroup]:
    config = DeepSpeedConfig(kind="deepspeed", shards=2, timeout_s=TIMEOUT_S, transport=request.param)
    pair = RunningGroup(tmp_path, 2, config)
    assert pair.group.transport == request.param
    yield pair
    pair.group.close()


def test_an_idle_group_neither_spins_nor_times_out(pair: RunningGroup) -> None:
    inputs = pair.inputs((5, 1))
    pair.sharded.run(inputs)
    before = pair.rank(1).cpu_times()
    time.sleep(1.5 * TIMEOUT_S)
    after = pair.rank(1).cpu_times()
    assert after.user + after.system - before.user - before.system < TIMEOUT_S / 2
    pair.sharded.run(inputs)


def test_batches_and_the_check_fail_at_once_after_a_rank_is_killed(pair: RunningGroup) -> None:
    pair.check_loss_of_a_killed_rank()


def test_the_check_and_batches_fail_within_their_limits_if_a_rank_is_stopped(pair: RunningGroup) -> None:
    inputs = pair.inputs((5, 1))
    pair.sharded.run(inputs)
    pair.stop_rank(1)
    started_s = time.monotonic()
    with pytest.raises(ShardLost, match="rank 1 does not answer"):
        pair.group.check()
    assert time.monotonic() - started_s < ANSWER_LIMIT_S
    with pytest.raises(ShardLost):
        pair.sharded.run(inputs)
    with pytest.raises(ShardLost):
        pair.sharded.run(inputs)
    pair.group.close()
    assert not pair.processes.started[0].is_alive()


def test_a_rank_ends_when_rank_0_has_ended(pair: RunningGroup) -> None:
    other = pair.rank(1)
    pair.group.heartbeats.close()
    other.wait(10)


def test_the_other_ranks_kill_a_rank_0_that_hangs() -> None:
    context = multiprocessing.get_context("spawn")
    first = context.Process(target=beat_and_hang)
    first.start()
    first.join(LIMIT_S)
    assert first.exitcode == -signal.SIGKILL


def beat_and_hang() -> None:
    """Run a rank 0 that stops itself once another rank has connected."""
    monitor = HeartbeatMonitor("127.0.0.1")
    other = multiprocessing.get_context("spawn").Process(
        target=send_heartbeats, args=(monitor.port, monitor.token, os.getpid())
    )
    other.start()
    assert monitor.wait_for(1, LIMIT_S) == []
    assert monitor.probe() is None
    os.kill(os.getpid(), signal.SIGSTOP)


def send_heartbeats(port: int, token: bytes, pid: int) -> None:
    """Run rank 1."""
    answer_heartbeats("127.0.0.1", port, token, 1, LIMIT_S, pid)
    time.sleep(LIMIT_S)
