"""Memory shared by processes of this machine: sums and orders over it, and what becomes of them when a rank is lost."""

import hashlib
import multiprocessing
import os
import secrets
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sharding.command_ring import SharedOrders
from services.sharding.commands import Order
from services.sharding.rendezvous import Door, enter, knock
from services.sharding.shared_memory import SLOT_BYTES, RankEnded, RankSilent, SharedBoard, is_possible

pytestmark = pytest.mark.skipif(not is_possible(), reason="x86 and Linux alone")

LIMIT_S = 20.0
SHORT_S = 0.5


class Member:
    """One rank's sums and orders over a board."""

    def __init__(self, board: SharedBoard, limit_s: float) -> None:
        from services.sharding.all_reduce import SharedSums

        self.board = board
        self.sums, self.orders = SharedSums(board, limit_s), SharedOrders(board, limit_s)

    def total(self, shape: tuple[int, ...], dtype: str, seed: int) -> Any:
        """Sum this rank's values with the others'; every second column where there are two axes."""
        values = own_values(shape, dtype, seed, self.board.rank)
        self.sums.allreduce([values])
        return values


def own_values(shape: tuple[int, ...], dtype: str, seed: int, rank: int) -> Any:
    import torch

    generator = torch.Generator().manual_seed(seed * 16 + rank)
    wide = torch.randn((*shape[:-1], 2 * shape[-1]), generator=generator).to(getattr(torch, dtype))
    return wide[..., ::2] if len(shape) > 1 else wide[: shape[0]]


def serve_member(token: bytes, rank: int, size: int, limit_s: float, asked: Connection) -> None:
    """Be a rank but the first, until the pipe is closed."""
    bell = knock(token, rank)
    assert bell is not None
    member = Member(enter(bell, rank, size), limit_s)
    asked.send(None)
    try:
        while True:
            what, *arguments = asked.recv()
            try:
                if what == "total":
                    asked.send(member.total(*arguments).float().numpy().tobytes())
                else:
                    order, number, payload = member.orders.receive()
                    asked.send((order, number, digest(payload.tobytes())))
            except RuntimeError as error:
                asked.send(type(error).__name__)
    except EOFError:
        pass


def digest(payload: bytes) -> str:
    """Give what a pipe holds that nobody reads yet."""
    return hashlib.sha256(payload).hexdigest()


class Ranks:
    """Rank 0 in this process, the others in their own."""

    def __init__(self, size: int, limit_s: float = LIMIT_S) -> None:
        context, token = multiprocessing.get_context("spawn"), secrets.token_bytes(16)
        door = Door(token, size)
        self.pipes, self.processes = [], []
        for rank in range(1, size):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=serve_member, args=(token, rank, size, limit_s, theirs), daemon=True
            )
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)
        self.member = Member(door.admit(), limit_s)
        door.close()
        for pipe in self.pipes:
            assert pipe.recv() is None

    def ask(self, *what: Any) -> None:
        for pipe in self.pipes:
            pipe.send(what)

    def answers(self) -> list[Any]:
        return [pipe.recv() if pipe.poll(LIMIT_S) else None for pipe in self.pipes]

    def close(self) -> None:
        self.member.board.close()
        for process in self.processes:
            process.kill()
            process.join()


@pytest.fixture(
    scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)], ids=lambda n: f"{n} ranks"
)
def ranks(request: pytest.FixtureRequest) -> Iterator[Ranks]:
    given = Ranks(request.param)
    yield given
    given.close()


@pytest.fixture
def three() -> Iterator[Ranks]:
    given = Ranks(3, SHORT_S)
    yield given
    given.close()


@settings(max_examples=25)
@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple)
    | st.integers(SLOT_BYTES // 4 - 2, SLOT_BYTES).map(lambda count: (count,)),
    dtype=st.sampled_from(["float32", "bfloat16", "float16"]),
    seed=st.integers(0, 1000),
)
def test_a_sum_is_that_of_the_ranks_in_their_order_to_the_bit(
    ranks: Ranks, shape: tuple[int, ...], dtype: str, seed: int
) -> None:
    ranks.ask("total", shape, dtype, seed)
    total = ranks.member.total(shape, dtype, seed)
    expected = own_values(shape, dtype, seed, 0)
    for rank in range(1, len(ranks.pipes) + 1):
        expected = expected + own_values(shape, dtype, seed, rank)
    assert (total == expected).all()
    assert ranks.answers() == [expected.float().numpy().tobytes()] * len(ranks.pipes)


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 50) | st.integers(SLOT_BYTES - 40, 3 * SLOT_BYTES), min_size=1, max_size=4)
)
def test_orders_of_any_length_arrive_whole_and_in_sequence(ranks: Ranks, sizes: list[int]) -> None:
    sent = []
    for number, size in enumerate(sizes):
        ranks.ask("order")
        payload = np.random.default_rng(size).bytes(size)
        ranks.member.orders.send(Order.RUN, number, payload)
        sent.append((Order.RUN, number, digest(payload)))
    assert [ranks.answers() for _ in sizes] == [[each] * len(ranks.pipes) for each in sent]


def test_who_waits_long_sleeps_and_is_woken(ranks: Ranks) -> None:
    ranks.ask("order")
    other = psutil.Process(ranks.processes[0].pid)
    until_s = time.monotonic() + LIMIT_S
    while other.status() != psutil.STATUS_SLEEPING and time.monotonic() < until_s:
        time.sleep(0.01)
    before = other.cpu_times()
    time.sleep(0.5)
    after = other.cpu_times()
    assert after.user + after.system - before.user - before.system < 0.1
    ranks.member.orders.send(Order.MEET, 7, b"")
    assert ranks.answers() == [(Order.MEET, 7, digest(b""))] * len(ranks.pipes)


def test_a_killed_rank_ends_the_wait_of_all_others(three: Ranks) -> None:
    three.pipes[1].send(("total", (8,), "float32", 0))
    three.processes[0].kill()
    with pytest.raises(RankEnded, match="rank 1 has ended"):
        three.member.total((8,), "float32", 0)
    assert three.pipes[1].recv() == "RankEnded"


def test_a_stopped_rank_ends_the_wait_at_its_limit(three: Ranks) -> None:
    three.pipes[1].send(("total", (8,), "float32", 0))
    pid = three.processes[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(RankSilent, match="rank 1 does not take part"):
        three.member.total((8,), "float32", 0)
    assert three.pipes[1].recv() == "RankSilent"


def test_orders_are_not_written_over_one_that_a_stopped_rank_has_not_read(three: Ranks) -> None:
    for number in range(2):
        three.member.orders.send(Order.RUN, number, b"")
    with pytest.raises(RankSilent):
        three.member.orders.send(Order.RUN, 2, b"")


def test_a_rank_whose_rank_0_is_gone_waits_for_no_order(three: Ranks) -> None:
    three.ask("order")
    three.member.board.close()
    assert three.answers() == ["RankEnded"] * 2


def test_who_finds_no_door_is_on_another_machine() -> None:
    assert knock(secrets.token_bytes(16), 1) is None
