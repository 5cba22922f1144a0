"""The CPU that a server, the load generator and other programs use in one window."""

import time
from typing import NamedTuple

from benchmarks.harness.meters.processes import CpuMeter, core_seconds_by_role, machine_busy_s


class CpuUsed(NamedTuple):
    """The CPU in one window.

    Attributes:
        by_role: seconds of the server's processes, by role.
        foreign_cores: cores that processes other than server and load generator kept busy.
    """

    by_role: dict[str, float]
    foreign_cores: float


class CpuWindow:
    """A window, which begins when the object is created. The load generator runs in this process."""

    def __init__(self, meter: CpuMeter) -> None:
        """Begin a window for the server behind ``meter``."""
        self._meter, self._before = meter, meter.read()
        self._busy_s, self._started_s = machine_busy_s(), time.perf_counter()
        self._client_s = time.process_time()

    def end(self) -> CpuUsed:
        """Return the CPU since the beginning."""
        client_s = time.process_time() - self._client_s
        after, busy_s = self._meter.read(), machine_busy_s() - self._busy_s
        wall_s = time.perf_counter() - self._started_s
        by_role = core_seconds_by_role(self._before, after)
        return CpuUsed(by_role, max(0.0, busy_s - sum(by_role.values()) - client_s) / wall_s)
