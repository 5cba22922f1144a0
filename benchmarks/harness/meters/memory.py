"""Memory growth in processes."""

import threading
from collections.abc import Sequence
from pathlib import Path

_MIB = 1 << 20
_SAMPLE_S = 0.002


class Growth:
    """The memory growth of some processes since the object was made.

    Attributes:
        peaks: each process's maximum growth in anonymous memory, in MiB.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        """Record the processes' present memory, and start to sample it."""
        self._pids = pids
        self._before = [memory_of(pid) for pid in pids]
        self.peaks = [0.0] * len(pids)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> list[float]:
        """Stop sampling. Return each process's growth, anonymous and mapped memory together, in MiB.

        The growth of a process that has ended is 0.
        """
        self._stop.set()
        self._thread.join()
        pairs = zip(map(memory_of, self._pids), self._before, strict=True)
        return [(sum(now) - sum(before)) / _MIB if any(now) else 0.0 for now, before in pairs]

    def _look(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            for index, pid in enumerate(self._pids):
                grown = (memory_of(pid)[0] - self._before[index][0]) / _MIB
                self.peaks[index] = max(self.peaks[index], grown)


def memory_of(pid: int) -> tuple[int, int]:
    """Return the bytes in anonymous pages and in file pages. A process that has ended has none.

    Its file in ``/proc`` lacks these fields until its parent has waited for it, and is missing afterwards.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        lines = []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    anonymous, file = (int(fields.get(name, "0 kB").split()[0]) * 1024 for name in ("RssAnon", "RssFile"))
    return anonymous, file


def proportional_mib(pid: int) -> float:
    """Return the memory of a process in MiB. Of pages that several processes share, each has its part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
