"""Ranks over shared memory without a model. Rank 0 is this process, the others are new processes."""

import hashlib
import multiprocessing
import secrets
from multiprocessing.connection import Connection
from typing import Any

from services.sharding.command_ring import CommandRing
from services.sharding.rendezvous import MemoryHost, connect, receive_memory
from services.sharding.shared_memory import SharedMemory

LIMIT_S = 20.0
SHORT_S = 0.5


class Member:
    """One rank's sums, commands and activations over the memory."""

    def __init__(self, memory: SharedMemory, limit_s: float) -> None:
        from services.sharding.activation_ring import ActivationRing
        from services.sharding.all_reduce import SharedMemoryAllReduce

        self.memory = memory
        self.ring = ActivationRing(memory, limit_s)
        self.sums, self.commands = SharedMemoryAllReduce(memory, limit_s), CommandRing(memory, limit_s)

    def total(self, shape: tuple[int, ...], dtype: str, seed: int) -> Any:
        """Sum all ranks' values. With two axes or more, use every second column."""
        values = own_values(shape, dtype, seed, self.memory.rank)
        self.sums.allreduce([values])
        return values

    def pass_on(self, counts: list[int], seed: int) -> tuple[list[Any], list[int]]:
        """Send all messages before receiving any. Return the values and the numbers that this rank receives.

        A message of fewer than 0 values reports a failed rank.
        """
        for count in counts:
            values = own_values((count,), "float32", seed, self.memory.rank) if count >= 0 else None
            self.ring.send(values, max(count, 0), 0 if count >= 0 else -count)
        received = [self.ring.receive() for _ in counts]
        return [values for values, _ in received], [failed for _, failed in received]


def own_values(shape: tuple[int, ...], dtype: str, seed: int, rank: int) -> Any:
    """Return one rank's values."""
    import torch

    generator = torch.Generator().manual_seed(seed * 16 + rank)
    wide = torch.randn((*shape[:-1], 2 * shape[-1]), generator=generator).to(getattr(torch, dtype))
    return wide[..., ::2] if len(shape) > 1 else wide[: shape[0]]


def serve_member(token: bytes, rank: int, size: int, limit_s: float, pipe: Connection) -> None:
    """Run a rank other than rank 0 until the pipe is closed."""
    to_rank_0 = connect(token, rank)
    assert to_rank_0 is not None
    member = Member(receive_memory(to_rank_0, rank, size), limit_s)
    pipe.send(None)
    try:
        while True:
            action, *arguments = pipe.recv()
            try:
                if action == "total":
                    pipe.send(member.total(*arguments).float().numpy().tobytes())
                elif action == "pass_on":
                    messages, failed = member.pass_on(*arguments)
                    pipe.send(([digest(each.numpy().tobytes()) for each in messages], failed))
                else:
                    command, number, payload = member.commands.receive()
                    pipe.send((command, number, digest(payload.tobytes())))
            except RuntimeError as error:
                pipe.send(type(error).__name__)
    except EOFError:
        pass


def digest(payload: bytes) -> str:
    """Return a digest that fits into the buffer of a pipe that nobody reads yet."""
    return hashlib.sha256(payload).hexdigest()


class MemoryRanks:
    """A group whose rank 0 is this process. The others are new processes."""

    def __init__(self, size: int, limit_s: float = LIMIT_S) -> None:
        context, token = multiprocessing.get_context("spawn"), secrets.token_bytes(16)
        host = MemoryHost(token, size)
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
        self.member = Member(host.share(), limit_s)
        host.close()
        for pipe in self.pipes:
            assert pipe.recv() is None

    def ask(self, *action: Any) -> None:
        """Send an action to all other ranks."""
        for pipe in self.pipes:
            pipe.send(action)

    def answers(self) -> list[Any]:
        """Return each other rank's answer, or None if it does not answer."""
        return [pipe.recv() if pipe.poll(LIMIT_S) else None for pipe in self.pipes]

    def close(self) -> None:
        self.member.memory.close()
        for process in self.processes:
            process.kill()
            process.join()
