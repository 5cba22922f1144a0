"""Traces that cannot be used are refused, by their first fault and its remedy."""

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.traces.bins import Arrivals, Bins

MAX_CANDIDATES = 2**31 - 1
MAX_BIN = 1e12


def checked(factor: float) -> float:
    """Give a factor that requests may be multiplied by.

    Raises:
        TraceError: it is not above 0.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise TraceError(f"a trace cannot have {factor} times its requests: give a number above 0")
    return factor


def check_arrivals(chunk: Arrivals, last_s: float, number: int, name: str) -> None:
    """Refuse requests that are out of order or no requests; ``number`` came before them, the last at ``last_s``.

    Raises:
        TraceError: names the first such request.
    """
    times, candidates = chunk.times_s, chunk.candidates
    before = np.concatenate([[last_s], times[:-1]])
    faults = (
        (~np.isfinite(times), "its time_s is no finite number", "remove it"),
        (times < 0, "its time_s is below 0", "count from the trace's start"),
        (times < before, "it comes before the request ahead of it", "sort the trace by time_s"),
        (candidates < 1, "it has less than one candidate", "remove it, or give its candidates"),
    )
    for wrong, what, remedy in faults:
        if wrong.any():
            index = int(wrong.argmax())
            raise TraceError(
                f"{name}: request {number + index + 1} (time_s {times[index]:g}, candidates {candidates[index]}): "
                f"{what}; {remedy}"
            )
    deadlines = chunk.deadlines_ms
    if deadlines is not None and (deadlines <= 0).any():  # NaN is none of its own
        index = int((deadlines <= 0).argmax())
        raise TraceError(
            f"{name}: request {number + index + 1}: deadline_ms is {deadlines[index]:g}; give one above 0 or none"
        )


def check_bins(counts: Bins, name: str) -> None:
    """Refuse bins that no requests can be drawn from.

    Raises:
        TraceError: names the first such bin.
    """
    if not len(counts):
        raise TraceError(f"{name} is empty: give at least one bin")
    if not (np.isfinite(counts.step_s) and counts.step_s > 0 and counts.start_s >= 0):
        raise TraceError(
            f"{name}: bins of {counts.step_s} s from {counts.start_s} s on; both are seconds, above 0"
        )
    some = counts.requests > 0
    for column, least, most, where in (
        ("requests", 0.0, MAX_BIN, np.ones(len(counts), dtype=np.bool_)),
        ("candidates", 1.0, MAX_CANDIDATES, some),
        ("candidates_cv", 0.0, 100.0, some),
        ("dispersion", 0.0, 1000.0, some),
    ):
        values: NDArray[np.float64] = getattr(counts, column)
        wrong = where & ~((values >= least) & (values <= most))
        if wrong.any():
            index = int(wrong.argmax())
            raise TraceError(
                f"{name}: bin {index + 1} (time_s {counts.start_s + index * counts.step_s:g}): {column} is "
                f"{values[index]:g}; give a number from {least:g} to {most:g}"
            )
    if not some.any():
        raise TraceError(f"{name}: no bin has a request; give one that has")
