"""This machine's CPU. Files that were compiled for one set of instructions do not fit another."""

import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd", "sve")
"""The flags that determine a model's speed."""


def cpu_fields(cpuinfo: Path = CPUINFO) -> dict[str, str]:
    """Return the first processor's fields, such as "model name". Empty without the file."""
    first = cpuinfo.read_text(encoding="utf-8").strip().partition("\n\n")[0] if cpuinfo.exists() else ""
    return {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())
    }


def flags_in(fields: dict[str, str]) -> set[str]:
    """Return the flags in a processor's fields, which differ on x86-64 and on ARM."""
    return set(fields.get("flags", fields.get("Features", "")).split())


@cache
def cpu_flags() -> tuple[str, ...]:
    """Return the architecture's name and the CPU's flags in alphabetical order, such as "avx2".

    Without /proc, return only the architecture's name.
    """
    return (platform.machine(), *sorted(flags_in(cpu_fields())))
