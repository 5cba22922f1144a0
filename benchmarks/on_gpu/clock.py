"""Times of calls: on the device without waiting in between, and as a caller sees them."""

import time
from collections.abc import Callable

import torch

_WARM_UPS = 2


def wait_for(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def device_seconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the seconds per call of ``repeats`` calls in a row.

    On a GPU the calls are not waited for, and the time is between two events in the stream. So the figure is the
    device's time, unless the host is too slow to keep the stream filled.
    """
    for _ in range(_WARM_UPS):
        call()
    wait_for(device)
    if device.type != "cuda":
        started_s = time.perf_counter()
        for _ in range(repeats):
            call()
        return (time.perf_counter() - started_s) / repeats
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / repeats


def repeats_for(call: Callable[[], object], device: torch.device, seconds: float) -> int:
    """Return how many calls take about ``seconds``, from 3 to 1,000."""
    once_s = device_seconds(call, device, 1)
    return max(3, min(1000, int(seconds / max(once_s, 1e-6))))


def call_seconds(call: Callable[[], object], seconds: float, least: int = 5) -> list[float]:
    """Return the seconds of single calls that are each waited for by ``call`` itself."""
    call()
    taken_s: list[float] = []
    until_s = time.perf_counter() + seconds
    while len(taken_s) < least or time.perf_counter() < until_s:
        started_s = time.perf_counter()
        call()
        taken_s.append(time.perf_counter() - started_s)
    return taken_s
