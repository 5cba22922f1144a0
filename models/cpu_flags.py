"""The instruction sets of this machine's CPU. Files that were compiled for one set do not fit another."""

import platform
from functools import cache
from pathlib import Path

_FIELDS = ("flags", "Features")  # on x86-64 and on ARM


@cache
def cpu_flags() -> tuple[str, ...]:
    """Return the CPU's flags in alphabetical order, such as "avx2". Without /proc, only the architecture's name."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        field, _, value = line.partition(":")
        if field.strip() in _FIELDS:
            return (platform.machine(), *sorted(set(value.split())))
    return (platform.machine(),)
