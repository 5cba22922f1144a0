"""Samples of a process's CPU from Linux perf."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.request_profile.layers import layer_of

_FREQUENCY_HZ = 2000
_LIMIT_S = 60.0
# A line is "pid/tid address symbol (object)". A symbol of C++ may have spaces and parentheses.
_LINE = re.compile(r"^\s*\d+/(?P<tid>\d+)\s+[0-9a-f]+\s+(?P<symbol>.*) \((?P<path>[^()]*)\)$")


class Sample(NamedTuple):
    """One sample.

    Attributes:
        path: the shared object.
    """

    tid: int
    symbol: str
    path: str


def has_perf() -> bool:
    """Return whether perf is installed."""
    return shutil.which("perf") is not None


@contextmanager
def recorded(pids: Sequence[int], seconds: float) -> Iterator[list[Sample]]:
    """Sample processes for ``seconds``, and wait for the end. The yielded list has the samples after the block.

    Raises:
        RuntimeError: perf is not allowed to sample.
    """
    samples: list[Sample] = []
    with TemporaryDirectory(prefix="rankway-profile-") as folder:
        file = Path(folder) / "perf.data"
        command = ["perf", "record", "-e", "cpu-clock", "-F", str(_FREQUENCY_HZ), "-o", str(file)]
        command += ["-p", ",".join(map(str, pids)), "--", "sleep", str(seconds)]
        perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            yield samples
            errors = perf.communicate(timeout=seconds + _LIMIT_S)[1]
        finally:
            if perf.poll() is None:
                perf.kill()
                perf.wait()
        if perf.returncode:
            raise RuntimeError(f"perf: failed with {perf.returncode}: {errors.strip()[-500:]}")
        shown = subprocess.run(
            ["perf", "script", "-i", str(file), "-F", "pid,tid,ip,sym,dso"],
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
        )
    samples += parse(shown.stdout)


def parse(text: str) -> Iterator[Sample]:
    """Yield the samples in the output of ``perf script -F pid,tid,ip,sym,dso``. Other lines are skipped."""
    for line in text.splitlines():
        # The object of a package that was replaced while it ran.
        match = _LINE.match(line.replace(" (deleted)", ""))
        if match is not None:
            yield Sample(int(match["tid"]), match["symbol"], match["path"])


def by_layer(samples: Sequence[Sample]) -> dict[int, Counter[str]]:
    """Return the number of samples by thread and layer."""
    counts: dict[int, Counter[str]] = {}
    for tid, symbol, path in samples:
        counts.setdefault(tid, Counter())[layer_of(symbol, path)] += 1
    return counts
