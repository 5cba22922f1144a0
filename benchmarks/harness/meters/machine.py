"""The measuring machine: processor, cores and the instruction sets that determine a model's speed. And the commit."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from models.cpu_flags import CPUINFO, INSTRUCTION_SETS, cpu_fields, flags_in


def machine(cpuinfo: Path = CPUINFO) -> dict[str, Any]:
    """Return the processor as plain data: ``cpu``, ``cores`` and ``flags``."""
    fields = cpu_fields(cpuinfo)
    flags = flags_in(fields)
    return {
        "cpu": fields.get("model name", platform.machine()),
        "cores": os.cpu_count() or 1,
        "flags": [name for name in INSTRUCTION_SETS if name in flags],
    }


def commit_of(checkout: Path) -> str:
    """Return the short hash of a checkout's commit, or "unknown" without git."""
    command = ["git", "-C", str(checkout), "log", "-1", "--format=%h"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
