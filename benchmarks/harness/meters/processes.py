"""CPU by process, from /proc/<pid>/stat, for a server and all processes it started, grouped by role."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_ROLES = (
    ("replica", re.compile(r"^ray::ServeReplica:(?P<name>[^:]+:[^:. ]+)")),
    ("controller", re.compile(r"^ray::ServeController")),
    ("proxy", re.compile(r"^ray::(\w*Proxy\w*|HAProxy\w*)")),
    ("haproxy", re.compile(r"(^|/)haproxy( |$)")),
    ("raylet", re.compile(r"/raylet/raylet( |$)")),
    ("gcs", re.compile(r"/gcs_server( |$)")),
    ("agents", re.compile(r"agent|log_monitor\.py|monitor\.py|dashboard|ray::IDLE|ray::")),
    ("uvicorn", re.compile(r"benchmarks\.cases\.control")),
    ("driver", re.compile(r"cli\.main serve")),
)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its command, its role and its CPU seconds."""

    pid: int
    command: str
    role: str
    cpu_s: float


class CpuMeter:
    """Reads the CPU that a server's processes used.

    A server's processes have a mark in their environment. It is inherited, so daemons that left the server's process
    tree are found too. Children of such processes also count, because a process title may overwrite the environment.
    """

    def __init__(self, mark: str) -> None:
        """Search for ``mark``, NAME=value."""
        self._mark = mark.encode()
        self._ours: set[int] = set()

    def read(self) -> dict[int, Process]:
        """Return the server's processes by pid."""
        parents = {pid: _parent_of(pid) for pid in _pids()}
        ours = {
            pid for pid in parents if pid in self._ours or self._mark in _read(pid, "environ").split(b"\0")
        }
        while children := {pid for pid, parent in parents.items() if parent in ours and pid not in ours}:
            ours |= children
        self._ours = ours
        processes = {}
        for pid in ours:
            if (cpu_s := cpu_of(pid)) is not None:
                command = _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")
                processes[pid] = Process(pid, command, role_of(command), cpu_s)
        return processes


def core_seconds_by_role(before: Mapping[int, Process], after: Mapping[int, Process]) -> dict[str, float]:
    """Return the CPU seconds that each role used between two readings, the largest first.

    If a process ended between the readings, its CPU since ``before`` is not counted.
    """
    used: dict[str, float] = {}
    for pid, process in after.items():
        earlier_s = before[pid].cpu_s if pid in before else 0.0
        used[process.role] = used.get(process.role, 0.0) + process.cpu_s - earlier_s
    return dict(sorted(used.items(), key=lambda item: -item[1]))


def role_of(command: str) -> str:
    """Return a process's role, from its command line."""
    return next((role for role, pattern in _ROLES if pattern.search(command)), "other")


def cpu_of(pid: int) -> float | None:
    """Return a process's user and system seconds, or None if it has ended."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else None


def machine_busy_s() -> float:
    """Return all cores' busy seconds since the machine started, without steal."""
    user, nice, system, _idle, _wait, irq, soft, *_ = (
        Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    )
    return sum(int(ticks) for ticks in (user, nice, system, irq, soft)) / _TICKS_PER_S


def others_busy_s(ours: Iterable[int]) -> float:
    """Return all cores' busy seconds, less the seconds of the processes ``ours``, which must still run."""
    return machine_busy_s() - sum(cpu_of(pid) or 0.0 for pid in ours)


def _parent_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[bytes]:
    stat = _read(pid, "stat")
    # The command, in parentheses, may contain spaces and parentheses.
    return stat[stat.rindex(b")") + 2 :].split() if stat else []


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has ended, or belongs to another user
        return b""
