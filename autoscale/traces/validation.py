"""Validates traces. An error names the first fault and its remedy."""

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.traces.bins import Arrivals, Bins

MAX_CANDIDATES = 2**31 - 1
MAX_BIN = 1e12


def checked(factor: float) -> float:
    """Check a factor on request counts, and return it.

    Raises:
        TraceError: the factor is not finite and above 0.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise TraceError(f"scale factor: must be a finite number above 0, got {factor}")
    return factor


def check_arrivals(chunk: Arrivals, last_s: float, number: int, name: str) -> None:
    """Check a chunk's order in time and its values.

    Args:
        chunk: the requests.
        last_s: when the last request before the chunk arrived.
        number: number of requests before the chunk.
        name: the trace's name, for errors.

    Raises:
        TraceError: a request is invalid. The message names the first one.
    """
    times, candidates = chunk.times_s, chunk.candidates
    before = np.concatenate([[last_s], times[:-1]])
    faults = (
        (~np.isfinite(times), "time_s must be finite", "remove the request"),
        (times < 0, "time_s must be at least 0", "count from the start of the trace"),
        (times < before, "time_s must be at least that of the previous request", "sort the trace by time_s"),
        (candidates < 1, "candidates must be at least 1", "remove or correct the request"),
    )
    for wrong, problem, remedy in faults:
        if wrong.any():
            index = int(wrong.argmax())
            raise TraceError(
                f"{name}: request {number + index + 1}: {problem}, got time_s {times[index]:g} and candidates "
                f"{candidates[index]}; {remedy}"
            )
    deadlines = chunk.deadlines_ms
    if deadlines is not None and (deadlines <= 0).any():  # NaN: the request has no deadline of its own
        index = int((deadlines <= 0).argmax())
        raise TraceError(
            f"{name}: request {number + index + 1}: deadline_ms must be above 0, got {deadlines[index]:g}; "
            f"correct deadline_ms, or leave it out"
        )


def check_bins(counts: Bins, name: str) -> None:
    """Check that requests can be drawn from bins.

    Raises:
        TraceError: a bin is invalid, or there are no requests. The message names the first invalid bin.
    """
    if not len(counts):
        raise TraceError(f"{name}: is empty; add at least one bin")
    if not (np.isfinite(counts.step_s) and counts.step_s > 0 and counts.start_s >= 0):
        raise TraceError(
            f"{name}: the width of bins must be above 0 s and their start at least 0 s, got {counts.step_s} and "
            f"{counts.start_s}"
        )
    some = counts.requests > 0
    for column, least, most, relevant in (
        ("requests", 0.0, MAX_BIN, np.ones(len(counts), dtype=np.bool_)),
        ("candidates", 1.0, MAX_CANDIDATES, some),
        ("candidates_cv", 0.0, 100.0, some),
        ("dispersion", 0.0, 1000.0, some),
    ):
        values: NDArray[np.float64] = getattr(counts, column)
        wrong = relevant & ~((values >= least) & (values <= most))
        if wrong.any():
            index = int(wrong.argmax())
            raise TraceError(
                f"{name}: bin {index + 1} (time_s {counts.start_s + index * counts.step_s:g}): {column} must be from "
                f"{least:g} to {most:g}, got {values[index]:g}"
            )
    if not some.any():
        raise TraceError(f"{name}: no bin has a request; add a bin that has requests")
