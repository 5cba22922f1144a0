"""This machine's CPU. Files that were compiled for one set of instructions do not fit another."""

import platform
from collections.abc import Collection
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTION_SETS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "asimd",
    "sve",
)
"""The flags that determine a model's speed."""
_EXACT = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Flags of instructions that add products of int8 numbers in 32 bits."""


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


def sums_int8_exactly(flags: Collection[str] | None = None) -> bool:
    """Return whether the CPU multiplies int8 numbers without an overflow of their sums.

    x86-64 without VNNI adds two products of 8 bits in 16 bits, which saturates. Kernels on ARM do not.

    Args:
        flags: the architecture's name and the CPU's flags. None: this machine's.
    """
    known = cpu_flags() if flags is None else flags
    is_x86 = any(name in known for name in ("x86_64", "AMD64"))
    return not is_x86 or any(name in known for name in _EXACT)
