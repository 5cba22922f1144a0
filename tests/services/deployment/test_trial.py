"""Checks in a process of their own: their faults come back, and a crash or an endless loop becomes a fault."""

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import psutil
import pytest

from services.deployment.trial import tried
from services.errors import ConfigError
from tests.services.processes import ROOT


def crash() -> list[str]:
    faulthandler.disable()  # pytest's report of a crash, which is meant here
    ctypes.string_at(0)
    return []


def run_out_of_memory() -> list[str]:
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def exit_early() -> list[str]:
    os._exit(3)


def wait_for_ever() -> list[str]:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    threading.Event().wait()
    return []


def test_faults_come_back_from_the_process() -> None:
    own = os.getpid()
    long = "x" * 1_000_000
    assert tried(lambda: [long, "dtype", str(os.getpid() == own)]) == [long, "dtype", "False"]
    assert tried(list) == []


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (crash, "ended with signal SIGSEGV; correct the model, or choose another runtime"),
        (run_out_of_memory, "was killed, probably for lack of memory"),
        (exit_early, "ended with status 3"),
    ],
)
def test_a_crash_is_a_fault_and_not_the_end_of_the_command(
    work: Callable[[], list[str]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tried(work)


def test_a_model_that_never_ends_is_killed() -> None:
    before = set(psutil.Process().children())
    with pytest.raises(ConfigError, match=r"not opened and run on a batch within 0\.05 s"):
        tried(wait_for_ever, limit_s=0.05)
    assert set(psutil.Process().children()) <= before


INTERRUPTED = """
import os, signal, threading
from services.deployment.trial import tried

def wait_for_ever():
    os.kill(os.getppid(), signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    threading.Event().wait()

try:
    tried(wait_for_ever)
except KeyboardInterrupt:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("interrupted, and no process is left")
"""


def test_ctrl_c_ends_a_model_that_does_not_react() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "interrupted, and no process is left\n"), done.stderr
