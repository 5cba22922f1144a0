"""Writes the profile of the walks' ranker on this device, in the format of ``configs/profiles``.

A profile of another pool gives the sizes of batches, and the times that need a running service: those outside the
batches. The text ``machine`` of the new profile says so.
"""

import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.on_gpu.clock import call_seconds
from benchmarks.on_gpu.inputs import Arrays, ranker_inputs
from benchmarks.on_gpu.machine import describe
from benchmarks.on_gpu.modules import build_ranker
from benchmarks.on_gpu.workloads import WALKS, WALKS_HISTORY
from models.architectures.attention.fused import FUSED
from models.architectures.attention.products import PRODUCTS
from models.architectures.gpu_form import without_needless

_KEPT = ("overhead_ms", "overhead_cpu_ms", "fallback_us_per_candidate")
_MOST_RUNS = 200


def write_profile(
    device: torch.device, base: Path, pool: str, target: Path, seconds: float
) -> dict[str, Any]:
    """Measure the ranker in float32, as ``runtime.kind: torch`` serves it, and write its profile.

    Args:
        device: the device.
        base: the profile of the same unit in another pool.
        pool: the pool of the new profile.
        target: the new file.
        seconds: time for all sizes together.

    Returns:
        The profile.

    Raises:
        ValueError: ``base`` is not a profile.
    """
    try:
        known = json.loads(base.read_text(encoding="utf-8"))
        sizes = [(int(timing["requests"]), int(timing["candidates"])) for timing in known["timings"]]
        unit, kept = known["unit"], {name: known.get(name, 0.0) for name in _KEPT}
        process_s = float(known["startup_s"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"--profile-base: cannot be read as a profile: {error}, got {base}; name a file in configs/profiles"
        ) from error
    started_s = time.perf_counter()
    module = build_ranker(WALKS, device, kernels=PRODUCTS if device.type == "cpu" else FUSED)
    run = _Served(module, device)
    run(_batch(*sizes[0]))
    startup_s = process_s + time.perf_counter() - started_s
    timings = [_timing(run, *size, seconds / len(sizes)) for size in sizes]
    facts = describe(device)
    profile = {
        "unit": unit,
        "pool": pool,
        "machine": f"measured on {facts['device']}, torch {facts['torch']}, by benchmarks/gpu.py; the times outside "
        f"batches are those of {base.name}; so is startup_s, plus the time of a load and a first batch",
        "timings": timings,
        "startup_s": round(startup_s, 2),
        "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        **kept,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_suffix(".writing")
    staging.write_text(json.dumps(profile, indent=1) + "\n", encoding="utf-8")
    staging.replace(target)
    return profile


class _Served:
    """Runs arrays as ``models.runtimes.pytorch.eager`` does: to the device, through the module, and back."""

    def __init__(self, module: torch.nn.Module, device: torch.device) -> None:
        self._module, self._device = module, device

    def __call__(self, arrays: Arrays) -> object:
        if self._device.type == "cuda":
            arrays = without_needless(arrays)
        with torch.inference_mode():
            scores = self._module({n: torch.from_numpy(a).to(self._device) for n, a in arrays.items()})
        return scores.float().cpu().numpy()


def _batch(requests: int, candidates: int) -> Arrays:
    return ranker_inputs(WALKS, requests, candidates // requests, WALKS_HISTORY, padded=True)


def _timing(run: _Served, requests: int, candidates: int, seconds: float) -> dict[str, Any]:
    arrays = _batch(requests, candidates)
    taken_ms = np.array(call_seconds(lambda: run(arrays), seconds)[:_MOST_RUNS]) * 1e3
    return {
        "requests": requests,
        "candidates": candidates,
        "p50_ms": round(float(np.percentile(taken_ms, 50)), 4),
        "p99_ms": round(float(np.percentile(taken_ms, 99)), 4),
        "mean_ms": round(float(taken_ms.mean()), 4),
        "runs": len(taken_ms),
    }
