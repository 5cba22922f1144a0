"""Memory growth, also if a measured process ends."""

import subprocess
import sys
from mmap import MAP_PRIVATE, mmap

import psutil

from benchmarks.harness.meters.memory import Growth, memory_of


def test_reports_the_growth_of_this_process() -> None:
    growth = Growth([psutil.Process().pid])
    grown = mmap(-1, 32 << 20, MAP_PRIVATE)  # new pages, never memory that the process had before
    grown.write(b"x" * len(grown))
    assert growth.stop()[0] > 30
    grown.close()


def test_a_process_that_has_ended_has_no_memory() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    growth = Growth([process.pid])
    assert min(memory_of(process.pid)) > 0
    assert process.stdin is not None
    process.stdin.close()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert memory_of(process.pid) == (0, 0)  # its parent has not waited for it yet
    process.wait()
    assert memory_of(process.pid) == (0, 0)
    assert growth.stop() == [0.0]
