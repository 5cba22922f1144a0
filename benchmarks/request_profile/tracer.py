"""Counts executed Python instructions by thread and function."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Function:
    """A function's instructions and calls per request."""

    name: str
    file: str
    instructions: float
    calls: float


class Tracer:
    """Counts executed instructions by thread and function."""

    def __init__(self, threads: Iterable[str]) -> None:
        """Count on threads with these names. Nothing is counted before the threads are traced."""
        self._threads = frozenset(threads)
        self.instructions: dict[str, Counter[CodeType]] = {name: Counter() for name in self._threads}
        self.calls: dict[str, Counter[CodeType]] = {name: Counter() for name in self._threads}

    def clear(self) -> None:
        """Forget all counts."""
        for counter in (*self.instructions.values(), *self.calls.values()):
            counter.clear()

    def trace(self, frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        """Count a call and the instructions in it. Python calls this for each traced event."""
        name = threading.current_thread().name
        if name not in self._threads:
            return None
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self.calls[name][frame.f_code] += 1
        elif event == "opcode":
            self.instructions[name][frame.f_code] += 1
        return self.trace

    def functions(self, thread: str, answers: int) -> list[Function]:
        """Return a thread's functions with their counts per answer."""
        return [
            Function(
                code.co_qualname,
                _short(code.co_filename),
                number / answers,
                self.calls[thread][code] / answers,
            )
            for code, number in self.instructions[thread].most_common()
        ]


def _short(path: str) -> str:
    """Return a path without the repository's or the packages' folder."""
    return path.removeprefix(f"{_ROOT}/").rpartition("site-packages/")[2]
