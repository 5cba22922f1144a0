"""The times of a pipeline's messages, and from them the times in which its ranks compute, wait and move activations."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from torch import Tensor

from models.runtimes.pipeline.messages import Messages

MS = 1e6
"""Nanoseconds in a millisecond."""


@dataclass
class Events:
    """One rank's events during a batch, in nanoseconds.

    Attributes:
        start: the batch's start.
        end: the batch's end.
        messages: (is a send, start, end) for each message.
    """

    start: int = 0
    end: int = 0
    messages: list[tuple[bool, int, int]] = field(default_factory=list)

    def computing(self) -> list[tuple[int, int]]:
        """Return the spans in which the rank computes: those before a send, and those after a receive."""
        spans = []
        before, is_send_before = self.start, True
        for is_send, start, end in self.messages:
            if is_send or not is_send_before:
                spans.append((before, start))
            before, is_send_before = end, is_send
        return spans

    @property
    def parts(self) -> int:
        """The number of the batch's parts. Rank 0 sends all of them once before it receives any."""
        kinds = [is_send for is_send, _, _ in self.messages]
        return kinds.index(False) if False in kinds else len(kinds)


class RecordedMessages:
    """Messages whose times are recorded."""

    def __init__(self, messages: Messages) -> None:
        """Record the use of ``messages``."""
        self._messages = messages
        self.events = Events()

    def expect(self, counts: Sequence[int]) -> None:
        """Pass on the announcement."""
        self._messages.expect(counts)

    def send(self, values: Tensor | None, count: int, failed: int) -> None:
        """Send and record a message."""
        start = time.monotonic_ns()
        self._messages.send(values, count, failed)
        self.events.messages.append((True, start, time.monotonic_ns()))

    def receive(self) -> tuple[Tensor, int]:
        """Receive and record a message."""
        start = time.monotonic_ns()
        received = self._messages.receive()
        self.events.messages.append((False, start, time.monotonic_ns()))
        return received

    def finish(self) -> None:
        """Wait until all messages are sent."""
        self._messages.finish()


@dataclass(frozen=True, slots=True)
class RankTimes:
    """Where one rank's time goes in a batch, in milliseconds.

    Attributes:
        computing: in the model.
        waiting: for another rank that still computes.
        moving: sending activations, and receiving those that another rank has computed.
        steps: number of stages executed, each with one part of the batch.
    """

    computing: float
    waiting: float
    moving: float
    steps: int

    def rounded(self) -> dict[str, float]:
        """Return the times as plain data."""
        return {name: round(value, 2) for name, value in asdict(self).items()}


def rank_times(ranks: Sequence[Events]) -> list[RankTimes]:
    """Return where each rank's time goes, given all ranks' events for the same batch."""
    times = []
    for rank, own in enumerate(ranks):
        sent = [start for is_send, start, _ in ranks[rank - 1].messages if is_send]
        received = [(start, end) for is_send, start, end in own.messages if not is_send]
        waiting = sum(
            min(end, max(start, ready)) - start for (start, end), ready in zip(received, sent, strict=True)
        )
        spans = own.computing()
        computing = sum(end - start for start, end in spans)
        moving = sum(end - start for _, start, end in own.messages) - waiting
        times.append(RankTimes(computing / MS, waiting / MS, moving / MS, len(spans)))
    return times
