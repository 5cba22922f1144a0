"""The measuring machine: its processor, cores, and the instruction sets that determine a model's speed."""

import os
import platform
from pathlib import Path
from typing import Any

INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd", "sve")
_CPUINFO = Path("/proc/cpuinfo")


def machine(cpuinfo: Path = _CPUINFO) -> dict[str, Any]:
    """Return the processor as plain data: ``cpu``, ``cores`` and ``flags``."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return {
        "cpu": fields.get("model name", platform.machine()),
        "cores": os.cpu_count() or 1,
        "flags": [name for name in INSTRUCTION_SETS if name in flags],
    }
