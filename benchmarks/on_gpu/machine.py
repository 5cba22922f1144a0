"""The machine: names, versions, and the card's measured rates."""

import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.on_gpu.clock import device_seconds
from models.cpu_flags import cpu_fields

_QUERY = "driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.draw,power.limit,temperature.gpu"
_MATRIX = 8192
_COPY_BYTES = 2 << 30
_HOPPER = 9


@dataclass(frozen=True)
class Rates:
    """What the device reaches on the simplest work, which the shares refer to.

    Attributes:
        operations_per_s: of a product of two large square matrices, in the type of the model.
        bytes_per_s: read and written by a large copy on the device.
    """

    operations_per_s: float
    bytes_per_s: float


def describe(device: torch.device) -> dict[str, Any]:
    """Return the device's name and the versions of everything that decides about speed."""
    facts: dict[str, Any] = {
        "device": _cpu_name(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
    if device.type != "cuda":
        return facts
    properties = torch.cuda.get_device_properties(device)
    facts |= {
        "device": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }
    uuid = getattr(properties, "uuid", None)  # an index would ignore CUDA_VISIBLE_DEVICES
    return facts | nvidia_smi(str(device.index or 0) if uuid is None else f"GPU-{uuid}")


def is_hopper(device: torch.device) -> bool:
    """Return whether the device is a Hopper card, for which a goal is set."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == _HOPPER


def nvidia_smi(card: str) -> dict[str, str]:
    """Return driver, clocks and power of a card (index or UUID), or nothing if nvidia-smi is missing or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader", f"--id={card}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(_QUERY.split(","), (value.strip() for value in answer.strip().split(",")), strict=False))


def measure_rates(device: torch.device, dtype: torch.dtype, *, smoke: bool) -> Rates:
    """Measure the device for about a second. The best of several runs counts, as clocks rise only under load."""
    size = 256 if smoke else _MATRIX
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    product = torch.empty(size, size, device=device, dtype=dtype)
    source = torch.empty((1 << 20) if smoke else _COPY_BYTES, dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    repeats = 2 if smoke else 20
    started_s = time.monotonic()
    product_s, copy_s = list[float](), list[float]()
    while len(product_s) < 3 or (not smoke and time.monotonic() - started_s < 1.0):
        product_s.append(device_seconds(lambda: torch.matmul(left, right, out=product), device, repeats))
        copy_s.append(device_seconds(lambda: target.copy_(source), device, repeats))
    return Rates(2.0 * size**3 / min(product_s), 2.0 * source.numel() / min(copy_s))


def _cpu_name() -> str:
    return cpu_fields().get("model name") or platform.processor() or platform.machine()
