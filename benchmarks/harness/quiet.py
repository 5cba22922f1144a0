"""Waits for idle cores, and repeats windows that other processes disturbed."""

import sys
import time
from collections.abc import Callable

from benchmarks.harness.cells import Cell
from benchmarks.harness.meters.processes import machine_busy_s

_DISTURBED_CORES = 0.15


def say(text: str) -> None:
    """Report progress, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def wait_for_quiet(limit_s: float) -> None:
    """Wait until other processes leave the cores idle. After ``limit_s``, report the busy cores and return."""
    end_s = time.monotonic() + limit_s
    while limit_s > 0:
        busy_s, started_s = machine_busy_s(), time.monotonic()
        time.sleep(1.0)
        cores = (machine_busy_s() - busy_s) / (time.monotonic() - started_s)
        if cores < _DISTURBED_CORES:
            return
        if time.monotonic() > end_s:
            say(f"other processes keep {cores:.1f} cores busy after {limit_s:.0f} s; measuring anyway")
            return


def measure_quietly(measure: Callable[[], Cell], attempts: int, pause_s: float) -> Cell:
    """Measure windows until other processes do not disturb one. Return the least disturbed.

    Args:
        measure: measures one window.
        attempts: maximum number of windows.
        pause_s: the pause between two windows.
    """
    cells = [measure()]
    while cells[-1].foreign_cores > _DISTURBED_CORES and len(cells) < attempts:
        time.sleep(pause_s)
        cells.append(measure())
    return min(cells, key=lambda cell: cell.foreign_cores)
