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
        """Stop sampling. Return each process's growth, anonymous and mapped memory together, in MiB."""
        self._stop.set()
        self._thread.join()
        now = [memory_of(pid) for pid in self._pids]
        return [(sum(each) - sum(before)) / _MIB for each, before in zip(now, self._before, strict=True)]

    def _look(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            for index, pid in enumerate(self._pids):
                grown = (memory_of(pid)[0] - self._before[index][0]) / _MIB
                self.peaks[index] = max(self.peaks[index], grown)


def memory_of(pid: int) -> tuple[int, int]:
    """Return the bytes in anonymous pages and in file pages."""
    lines = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return int(lines["RssAnon"].split()[0]) * 1024, int(lines["RssFile"].split()[0]) * 1024
