"""CPU by thread, from /proc, and the event loop and model threads of a replica."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

LOOP, MODEL, REST = "event loop", "model threads", "other threads"
# Measured with the DLRM and 16 clients: the event loop used 26% of a replica's CPU, the model thread 72%, the main
# thread, which is never the event loop, 1.5%, and each other thread at most 0.4%.
_BUSY_SHARE = 0.01


class Thread(NamedTuple):
    """A thread.

    Attributes:
        started: time of its start, in ticks since the machine started.
        cpu_s: the CPU seconds that it has used.
    """

    pid: int
    started: int
    cpu_s: float


def read_threads(pids: Sequence[int], proc: Path = Path("/proc")) -> dict[int, Thread]:
    """Return the processes' threads by thread id."""
    threads = {}
    for pid in pids:
        for task in (proc / str(pid) / "task").iterdir():
            try:
                stat, schedule = (task / "stat").read_text(), (task / "schedstat").read_text()
            except OSError:  # it has ended
                continue
            # The name, in parentheses, may contain spaces and parentheses.
            started = int(stat[stat.rindex(")") + 2 :].split()[19])
            threads[int(task.name)] = Thread(pid, started, int(schedule.split()[0]) / 1e9)
    return threads


def used_s(before: Mapping[int, Thread], after: Mapping[int, Thread]) -> dict[int, float]:
    """Return the CPU seconds that each thread used between two readings."""
    return {
        tid: thread.cpu_s - (before[tid].cpu_s if tid in before else 0.0) for tid, thread in after.items()
    }


def used_by_process_s(before: Mapping[int, Thread], after: Mapping[int, Thread]) -> dict[int, float]:
    """Return the CPU seconds of each process's threads between two readings, by pid."""
    sums: dict[int, float] = {}
    for tid, spent_s in used_s(before, after).items():
        pid = after[tid].pid
        sums[pid] = sums.get(pid, 0.0) + spent_s
    return sums


def roles(before: Mapping[int, Thread], after: Mapping[int, Thread]) -> dict[int, str]:
    """Return each thread's role, from two readings with load between them.

    The event loop starts the model threads, so it is the oldest busy thread of a replica. The other busy threads are
    model threads. Names do not tell: before Python 3.14 a thread's name stays in the interpreter.
    """
    spent_s = used_s(before, after)
    named = dict.fromkeys(after, REST)
    for pid in {thread.pid for thread in after.values()}:
        own = [tid for tid, thread in after.items() if thread.pid == pid and tid != pid]
        least_s = _BUSY_SHARE * sum(spent_s[tid] for tid in own)
        busy = sorted(
            (tid for tid in own if spent_s[tid] > least_s), key=lambda tid: (after[tid].started, tid)
        )
        named |= dict.fromkeys(busy, MODEL)
        named |= dict.fromkeys(busy[:1], LOOP)
    return named
