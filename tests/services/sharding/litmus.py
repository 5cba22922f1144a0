"""A litmus test for the shared-memory transport: does this machine keep the memory order that the transport needs?

    python -m tests.services.sharding.litmus [--seconds 60] [--ranks 2] [--seed 0]

``stress`` runs the transport itself. Ranks in separate processes send commands and compute sums, with random sizes and
random delays, and check every value. A counter that is visible before its data gives a wrong value.

In every second block the ranks sleep at once instead of polling. In every second pair of blocks rank 0 waits until each
command is done. A rank that fails to wake rank 0 then waits for the next command, and both sleep until the limit. In a
stream of commands and in sums the next counter wakes a rank that missed a wake-up, so they cannot show the fault.

``raw_litmus`` has the same patterns in compiled loops. There two instructions are a nanosecond apart instead of a
microsecond.
"""

import argparse
import multiprocessing
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.sharding.commands import Command
from services.sharding.rendezvous import MemoryHost, connect, receive_memory
from services.sharding.shared_memory import SLOT_BYTES, Channel, SharedMemory
from tests.services.sharding.memory_ranks import Member
from tests.services.sharding.raw_litmus import message_passing, store_buffering

Mutant = Literal["early counter", "flags first"]

_SUMS_EACH = 20
_COMMANDS_EACH = 20
_MOST_DELAY_S = 5e-5
_JOIN_LIMIT_S = 10.0


@dataclass
class StressResult:
    """The work done, and the first fault of each rank that had a fault."""

    blocks: int
    sums: int
    commands: int
    faults: list[str]


class EarlyCounter(SharedMemory):
    """A mutant whose sum counters are visible a round before their data, as if stores were reordered."""

    def publish(self, channel: Channel, number: int) -> None:
        """Publish a sum counter that is too high by one."""
        super().publish(channel, number + (channel is Channel.ALL_REDUCE))


class FlagsFirst(SharedMemory):
    """A mutant that reads the sleep flags before its counter is visible, as if the load overtook the store."""

    def publish(self, channel: Channel, number: int) -> None:
        """Read the flags, then publish the counter, then wake only the ranks that slept before."""
        asleep = [other for other in self.others if self._words[self._word_index(len(Channel), other)]]
        time.sleep(_MOST_DELAY_S)
        self._words[self._word_index(channel, self.rank)] = number
        for other in asleep:
            with suppress(OSError):
                self._sockets[other].send(b"!")


_MUTANTS: dict[Mutant, type[SharedMemory]] = {"early counter": EarlyCounter, "flags first": FlagsFirst}


def stress(
    seconds: float, *, ranks: int = 2, seed: int = 0, limit_s: float = 20.0, mutant: Mutant | None = None
) -> StressResult:
    """Run blocks of commands and sums, and stop at the first fault.

    Args:
        seconds: how long to run.
        ranks: the number of ranks.
        seed: the seed of the sizes, delays and values.
        limit_s: a command or sum that takes longer counts as a lost wake-up.
        mutant: the fault of the last rank, if any.
    """
    context, token = multiprocessing.get_context("spawn"), secrets.token_bytes(16)
    host = MemoryHost(token, ranks)
    pipes, processes = [], []
    for rank in range(1, ranks):
        ours, theirs = context.Pipe()
        broken = mutant if rank == ranks - 1 else None
        process = context.Process(
            target=_follow, args=(token, rank, ranks, limit_s, broken, theirs), daemon=True
        )
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    member = Member(host.share(), limit_s)
    host.close()
    for pipe in pipes:
        assert pipe.recv() == "ready"
    result = StressResult(0, 0, 0, [])
    until_s = time.monotonic() + seconds
    try:
        while result.blocks == 0 or (time.monotonic() < until_s and not any(pipe.poll() for pipe in pipes)):
            _lead(member, seed + result.blocks, limit_s)
            result.blocks += 1
        member.commands.send(Command.SYNC, 0, b"")
    except (RuntimeError, AssertionError) as error:
        result.faults.append(f"rank 0: {error!r}")
        member.memory.close()  # so that no rank waits for the next command
    for rank, pipe in enumerate(pipes, 1):
        report = pipe.recv() if pipe.poll(_JOIN_LIMIT_S) else "it hangs"
        if report != "done":
            result.faults.append(f"rank {rank}: {report}")
    member.memory.close()
    for process in processes:
        process.kill()
        process.join()
    result.sums, result.commands = result.blocks * _SUMS_EACH, result.blocks * _COMMANDS_EACH
    return result


def _lead(member: Member, seed: int, limit_s: float) -> None:
    """Send one block of commands with payloads. The last command starts sums in all ranks."""
    member.memory.spin_s, delays = _spin_s(seed), np.random.default_rng(seed)
    for index in range(_COMMANDS_EACH):
        command = Command.RUN if index == _COMMANDS_EACH - 1 else Command.LOAD
        number = seed * _COMMANDS_EACH + index
        payload = _payload(number)
        with _limit(limit_s, f"command {number}"):
            member.commands.send(command, number, payload)
            if seed // 2 % 2 == 0 and command is Command.LOAD:
                _delay(delays.random() * 4 * _MOST_DELAY_S)
                memory, last = member.memory, member.commands._number
                memory.wait(Channel.COMMANDS, last, memory.others, limit_s)
    _sum_block(member, seed, limit_s)


def _follow(
    token: bytes, rank: int, size: int, limit_s: float, mutant: Mutant | None, pipe: Connection
) -> None:
    """Run a rank other than rank 0, check all that it receives, and report a fault at once."""
    to_rank_0 = connect(token, rank)
    assert to_rank_0 is not None
    memory = receive_memory(to_rank_0, rank, size)
    if mutant is not None:
        memory.__class__ = _MUTANTS[mutant]
    member = Member(memory, limit_s)
    pipe.send("ready")
    expected, delays = 0, np.random.default_rng(rank)
    try:
        while (received := member.commands.receive())[0] is not Command.SYNC:
            command, number, payload = received
            expected = expected or number
            member.memory.spin_s = _spin_s(number // _COMMANDS_EACH)
            _delay(delays.random() * _MOST_DELAY_S)
            assert number == expected, f"command {number} instead of {expected}"
            assert payload.tobytes() == _payload(number), f"the payload of command {number} is wrong"
            expected += 1
            if command is Command.RUN:
                _sum_block(member, number // _COMMANDS_EACH, limit_s)
        pipe.send("done")
    except (RuntimeError, AssertionError) as error:
        pipe.send(repr(error))
    pipe.poll(None)  # keep its sockets open until the others have reported


def _payload(number: int) -> bytes:
    generator = np.random.default_rng(number)
    most = 3 * SLOT_BYTES if generator.random() < 0.005 else 2000
    return generator.bytes(int(generator.integers(most)))


def _sum_block(member: Member, seed: int, limit_s: float) -> None:
    import torch

    common, own = np.random.default_rng(seed), np.random.default_rng([seed, member.memory.rank])
    for step in range(_SUMS_EACH):
        most = SLOT_BYTES // 2 if common.random() < 0.02 else 3000
        count = int(common.integers(1, most))
        _delay(own.random() * _MOST_DELAY_S)
        tensor = torch.from_numpy(_values(seed, step, member.memory.rank, count))
        with _limit(limit_s, f"sum {step} of block {seed}"):
            member.sums.allreduce([tensor])
        ranks = range(member.memory.size)
        expected = np.sum([_values(seed, step, rank, count) for rank in ranks], axis=0)
        wrong = np.flatnonzero(tensor.numpy() != expected)
        assert not len(wrong), f"sum {step} of block {seed}: {len(wrong)} of {count} values are wrong"


def _values(seed: int, step: int, rank: int, count: int) -> NDArray[np.float32]:
    """Return whole numbers, whose sums are exact. Each round has other numbers."""
    values = np.arange(count, dtype=np.float32) % 97 + (seed * _SUMS_EACH + step) % 1009 + 2048 * rank
    return np.asarray(values, dtype=np.float32)


def _spin_s(seed: int) -> float:
    return 0.002 if seed % 2 else 0.0


@contextmanager
def _limit(limit_s: float, name: str) -> Iterator[None]:
    started_s = time.monotonic()
    yield
    took_s = time.monotonic() - started_s
    assert took_s < limit_s, f"{name} took {took_s:.1f} s: a wake-up was lost"


def _delay(delay_s: float) -> None:
    until_s = time.perf_counter() + delay_s
    while time.perf_counter() < until_s:
        pass


def main() -> int:
    """Run all patterns, and return 1 if one of them fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--ranks", type=int, default=2, choices=range(2, 9))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    each_s = arguments.seconds / 4
    result = stress(arguments.seconds - 3 * each_s / 2, ranks=arguments.ranks, seed=arguments.seed)
    print(f"transport: {result.blocks} blocks, {result.sums} sums, {result.commands} commands")
    for fault in result.faults:
        print(f"  {fault}")
    passing = message_passing(each_s / 2)
    print(f"message passing: {passing.violations} stale reads of {passing.rounds}")
    fenced = store_buffering(each_s / 2, fenced=True)
    print(f"store buffering with the fence: {fenced.violations} violations in {fenced.rounds} rounds")
    bare = store_buffering(each_s / 2, fenced=False)
    print(f"store buffering without it: {bare.violations} in {bare.rounds} rounds (this is allowed)")
    print(f"{os.cpu_count()} CPUs")
    return int(bool(result.faults or passing.violations or fenced.violations))


if __name__ == "__main__":
    raise SystemExit(main())
