"""Measures one cell: a model, a number of candidates per request, and a variant."""

import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from benchmarks.on_gpu.agreement import Reference, reference
from benchmarks.on_gpu.clock import call_seconds, device_seconds, repeats_for, wait_for
from benchmarks.on_gpu.inputs import Arrays, Tensors, dlrm_inputs, on_device, pinned, ranker_inputs
from benchmarks.on_gpu.machine import Rates
from benchmarks.on_gpu.open_loop import open_loop
from benchmarks.on_gpu.options import DlrmOptions
from benchmarks.on_gpu.variants import Run, Variant, build
from benchmarks.on_gpu.work import Work, dlrm_work, ranker_work
from benchmarks.on_gpu.workloads import Workload
from models.architectures.gpu_form import without_needless

_LOAD = 0.7
"""Offered load of the open loop, as a share of the rate at which full batches are served one after the other."""
_GAIN = 1.03


@dataclass(frozen=True)
class Bench:
    """Settings of all cells.

    Attributes:
        seconds: time for each measurement in a cell.
        references: reference scores by workload, requests, candidates and padding. Inputs are drawn with one seed.
    """

    device: torch.device
    dtype: torch.dtype
    rates: Rates
    seconds: float
    references: dict[tuple[str, int, int, bool], Reference] = field(default_factory=dict)


def inputs_of(workload: Workload, requests: int, candidates: int, *, padded: bool = False) -> Arrays:
    """Return the inputs of a batch, without those that a GPU replica does not copy either."""
    options = workload.options
    if isinstance(options, DlrmOptions):
        return dlrm_inputs(options, requests, candidates)
    return without_needless(ranker_inputs(options, requests, candidates, workload.history, padded=padded))


def work_of(
    workload: Workload, variant: Variant, arrays: Arrays, requests: int, candidates: int, dtype: torch.dtype
) -> Work:
    """Return the useful work of a batch."""
    if isinstance(workload.options, DlrmOptions):
        return dlrm_work(workload.options, requests * candidates, dtype.itemsize)
    mask = arrays.get("history_mask")
    lengths = [workload.history] * requests if mask is None else mask.sum(axis=1).tolist()
    return ranker_work(workload.options, lengths, candidates, dtype.itemsize, encodes=not variant.encoded)


@torch.inference_mode()
def best_batch(bench: Bench, workload: Workload, candidates: int, variant: Variant) -> int:
    """Return the requests per batch from which on larger batches gain less than 3%, as a power of two."""
    run = build(variant, workload.options, bench.device, bench.dtype)
    best, best_rate, requests = 1, 0.0, 1
    while requests <= workload.most_requests:
        try:
            inputs = on_device(pinned(inputs_of(workload, requests, candidates), bench.device), bench.device)
            call = _calls(run, inputs)
            repeats = repeats_for(call, bench.device, bench.seconds / 8)
            rate = requests / device_seconds(call, bench.device, repeats)
        except torch.OutOfMemoryError:
            break
        if rate < best_rate * _GAIN:
            break
        best, best_rate, requests = requests, rate, 2 * requests
    return best


@torch.inference_mode()
def measure(
    bench: Bench, workload: Workload, candidates: int, variant: Variant, requests: int
) -> dict[str, Any]:
    """Measure a cell and return its figures.

    Raises:
        NotHere: the variant cannot run on this machine.
        Disagreement: its scores are wrong.
        torch.OutOfMemoryError: the batch does not fit into the device's memory.
    """
    device = bench.device
    arrays = inputs_of(workload, requests, candidates, padded=variant.padded)
    host = pinned(arrays, device)
    run = build(variant, workload.options, device, bench.dtype)
    key = workload.name, requests, candidates, variant.padded
    if key not in bench.references:
        bench.references[key] = reference(workload.options, host, device)
    difference = bench.references[key].difference(run(host), bench.dtype)

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    call = _calls(run, on_device(host, device))
    batch_s = device_seconds(call, device, repeats_for(call, device, bench.seconds))
    work = work_of(workload, variant, arrays, requests, candidates, bench.dtype)

    # Compiled variants serve one size only, because every size would be compiled.
    sizes = [requests] if variant.compiled else [1 << power for power in range(requests.bit_length())]
    by_size = {
        size: pinned(inputs_of(workload, size, candidates, padded=variant.padded), device)
        if size != requests
        else host
        for size in sizes
    }

    def serve(size: int) -> None:
        run(by_size[size]).float().cpu()  # waits for the scores

    for size in sizes:
        serve(size)
    wait_for(device)
    served_s = sorted(call_seconds(lambda: serve(requests), bench.seconds))
    typical_s = served_s[len(served_s) // 2]
    under_load = open_loop(serve, sizes, _LOAD * requests / typical_s, 2 * bench.seconds)
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    return {
        "workload": workload.name,
        "candidates": candidates,
        "variant": variant.name,
        "requests_per_batch": requests,
        "batch_ms": round(batch_s * 1e3, 4),
        "candidates_per_s": round(requests * candidates / batch_s),
        "operations_share": round(work.operations / batch_s / bench.rates.operations_per_s, 4),
        "bytes_share": round(work.least_bytes / batch_s / bench.rates.bytes_per_s, 4),
        "served_batch_p50_ms": round(typical_s * 1e3, 4),
        "under_load": asdict(under_load),
        "largest_difference": round(difference, 6),
        "peak_memory_gib": None if memory is None else round(memory, 2),
    }


def free(device: torch.device) -> None:
    """Return the memory of the last cell, and forget what was compiled."""
    torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _calls(run: Run, inputs: Tensors) -> Callable[[], object]:
    return lambda: run(inputs)
