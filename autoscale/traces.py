"""Traces: when requests come and how many candidates each has; one by one, or counted in bins of time.

Times are seconds on the trace's own clock; where it follows a week, 0 is Monday midnight. All is streamed: a trace may
be longer than memory. What a bin counts is laid out inside it by chance: evenly likely (Poisson, given the count), or
gathered in bursts (``dispersion``), so that no trace is smoother than its bins say.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError

CHUNK = 1_000_000
MAX_CANDIDATES = 2**31 - 1
MAX_BIN = 1e12
_MAX_PARTS = 100_000


@dataclass(frozen=True, slots=True)
class Arrivals:
    """n requests in order: times_s float64, candidates int32, priorities int32 and deadlines_ms float64, each (n,).

    A deadline of NaN, as one of a trace without them, is the pipeline's own.
    """

    times_s: NDArray[np.float64]
    candidates: NDArray[np.int32]
    priorities: NDArray[np.int32] | None = None
    deadlines_ms: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True, slots=True)
class Bins:
    """n bins of ``step_s`` from ``start_s`` on, each column float64 (n,).

    requests: how many come in each. candidates: of a request, on average. candidates_cv: their coefficient of
    variation (a gamma's). dispersion: squared coefficient of variation of the rate from second to second inside a
    bin; 0 is Poisson's.
    """

    start_s: float
    step_s: float
    requests: NDArray[np.float64]
    candidates: NDArray[np.float64]
    candidates_cv: NDArray[np.float64]
    dispersion: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def end_s(self) -> float:
        """When the last bin ends."""
        return self.start_s + len(self) * self.step_s

    @classmethod
    def of(
        cls, start_s: float, step_s: float, requests: Iterable[float], candidates: Iterable[float] | float
    ) -> "Bins":
        """Give bins of Poisson arrivals whose requests have the same number of candidates in each."""
        counts = np.asarray(list(requests), dtype=np.float64)
        means = np.broadcast_to(np.asarray(candidates, dtype=np.float64), counts.shape).copy()
        return cls(start_s, step_s, counts, means, np.zeros_like(counts), np.zeros_like(counts))


class Trace(Protocol):
    """What comes, from ``start_s`` to ``end_s``."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def arrivals(self, seed: int) -> Iterator[Arrivals]:
        """Give every request in order, in chunks; the seed decides what chance has a say in.

        Raises:
            TraceError: what is read cannot be used.
        """
        ...

    def bins(self, step_s: float) -> Bins:
        """Count requests in bins of ``step_s``.

        Raises:
            TraceError: what is read cannot be used, or is too fine for that.
        """
        ...

    def scaled(self, factor: float) -> "Trace":
        """Give the same trace with ``factor`` times its requests."""
        ...


@dataclass(frozen=True, slots=True)
class BinnedTrace:
    """Counts by bins; single requests are drawn from them."""

    name: str
    counts: Bins

    def __post_init__(self) -> None:
        check_bins(self.counts, self.name)

    def arrivals(self, seed: int) -> Iterator[Arrivals]:
        """Draw every request; see ``Bins`` for how."""
        rng = np.random.default_rng(seed)
        for place in range(len(self.counts)):
            yield from _drawn(self.counts, place, rng)

    def bins(self, step_s: float) -> Bins:
        """Give the counts in bins of ``step_s``, which divides the trace's own step or is a multiple of it.

        Narrower bins share a bin's count evenly: what comes in bursts inside it is for ``arrivals``.
        """
        counts = self.counts
        if np.isclose(step_s, counts.step_s):
            return counts
        return _merged(counts, step_s) if step_s > counts.step_s else _split(counts, step_s)

    def scaled(self, factor: float) -> "BinnedTrace":
        """Give the trace with ``factor`` times the requests."""
        return replace(self, counts=replace(self.counts, requests=self.counts.requests * checked(factor)))


@dataclass(frozen=True, slots=True)
class ArrivalTrace:
    """Requests one by one, read anew by every pass; each pass is checked as it goes."""

    name: str
    read: Callable[[], Iterator[Arrivals]]

    @classmethod
    def of(
        cls, times_s: NDArray[np.float64], candidates: NDArray[np.int32], name: str = "arrivals"
    ) -> "ArrivalTrace":
        """Give the trace of arrays in memory.

        Raises:
            TraceError: they cannot be used.
        """
        arrivals = Arrivals(np.asarray(times_s, np.float64), np.asarray(candidates, np.int32))
        trace = cls(name, lambda: iter((arrivals,)))
        for _ in trace.arrivals(0):
            pass
        return trace

    def arrivals(self, seed: int = 0) -> Iterator[Arrivals]:
        """Give every request in order."""
        last_s, number = -np.inf, 0
        for chunk in self.read():
            if not len(chunk):
                continue
            check_arrivals(chunk, last_s, number, self.name)
            last_s, number = float(chunk.times_s[-1]), number + len(chunk)
            yield chunk
        if not number:
            raise TraceError(f"{self.name} is empty: give at least one request")

    def bins(self, step_s: float) -> Bins:
        """Count requests in bins of ``step_s``; the first begins at a multiple of it."""
        requests, candidates, squares = np.zeros(0), np.zeros(0), np.zeros(0)
        first = -1
        for chunk in self.arrivals():
            places = (chunk.times_s // step_s).astype(np.int64)
            first = int(places[0]) if first < 0 else first
            places -= first
            size = int(places[-1]) + 1
            if size > 100_000_000:
                raise TraceError(f"{self.name} takes {size} bins of {step_s:g} s: count in wider ones")
            if size > len(requests):  # doubled, so that a long trace is not copied at each chunk
                grown = max(size, 2 * len(requests))
                requests, candidates, squares = (
                    np.concatenate([column, np.zeros(grown - len(column))])
                    for column in (requests, candidates, squares)
                )
            low = int(places[0])
            weights = chunk.candidates.astype(np.float64)
            for column, values in ((requests, None), (candidates, weights), (squares, weights**2)):
                column[low:size] += np.bincount(places - low, values, size - low)
        used = size
        return _of_sums(first * step_s, step_s, requests[:used], candidates[:used], squares[:used])

    def scaled(self, factor: float) -> Trace:
        """Give bins of one second with ``factor`` times the requests: requests themselves cannot be split."""
        if factor == 1.0:
            return self
        return BinnedTrace(self.name, self.bins(1.0)).scaled(factor)


def coarse(trace: Trace) -> Bins:
    """Give the trace's own bins, or minutes: enough for how long it is and how much comes.

    Raises:
        TraceError: it cannot be read.
    """
    return trace.counts if isinstance(trace, BinnedTrace) else trace.bins(60.0)


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
            place = int(wrong.argmax())
            raise TraceError(
                f"{name}: request {number + place + 1} (time_s {times[place]:g}, candidates {candidates[place]}): "
                f"{what}; {remedy}"
            )
    deadlines = chunk.deadlines_ms
    if deadlines is not None and (deadlines <= 0).any():  # NaN is none of its own
        place = int((deadlines <= 0).argmax())
        raise TraceError(
            f"{name}: request {number + place + 1}: deadline_ms is {deadlines[place]:g}; give one above 0 or none"
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
            place = int(wrong.argmax())
            raise TraceError(
                f"{name}: bin {place + 1} (time_s {counts.start_s + place * counts.step_s:g}): {column} is "
                f"{values[place]:g}; give a number from {least:g} to {most:g}"
            )
    if not some.any():
        raise TraceError(f"{name}: no bin has a request; give one that has")


def _drawn(counts: Bins, place: int, rng: np.random.Generator) -> Iterator[Arrivals]:
    """Draw a bin's requests, in as many chunks as they take."""
    whole, rest = divmod(float(counts.requests[place]), 1.0)
    total = int(whole) + int(rng.random() < rest)
    if not total:
        return
    start_s = counts.start_s + place * counts.step_s
    dispersion = float(counts.dispersion[place])
    parts = min(_MAX_PARTS, max(1, round(counts.step_s))) if dispersion else max(1, -(-total // CHUNK))
    weights = rng.gamma(1 / dispersion, size=parts) if dispersion else np.ones(parts)
    if weights.sum() <= 0:  # as happens by rounding where nearly all comes at once
        weights[int(rng.integers(parts))] = 1.0
    numbers = rng.multinomial(total, weights / weights.sum())
    edges_s = start_s + counts.step_s * np.arange(parts + 1) / parts
    first = 0
    while first < parts:
        last = first + max(1, int(np.searchsorted(np.cumsum(numbers[first:]), CHUNK)))
        owned = np.repeat(np.arange(first, min(last, parts)), numbers[first:last])
        times = edges_s[owned] + rng.random(len(owned)) * (counts.step_s / parts)
        times.sort()
        first = last
        if len(times):
            yield Arrivals(times, _candidates(counts, place, len(times), rng))


def _candidates(counts: Bins, place: int, size: int, rng: np.random.Generator) -> NDArray[np.int32]:
    mean, cv = float(counts.candidates[place]), float(counts.candidates_cv[place])
    drawn = rng.gamma(1 / cv**2, mean * cv**2, size) if cv else np.full(size, mean)
    numbers = np.floor(drawn + rng.random(size))  # rounded by chance: the mean stays what it is
    return np.clip(numbers, 1, MAX_CANDIDATES).astype(np.int32)


def _of_sums(
    start_s: float,
    step_s: float,
    requests: NDArray[np.float64],
    candidates: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> Bins:
    some = np.maximum(requests, 1e-12)
    mean = np.where(requests > 0, candidates / some, 1.0)
    variance = np.where(requests > 0, squares / some - mean**2, 0.0)
    # Exact integers cancel to what rounding leaves; a variance that small is none.
    cv = np.sqrt(np.where(variance > 1e-9 * mean**2, variance, 0.0)) / mean
    return Bins(start_s, step_s, requests.copy(), mean, cv, np.zeros_like(requests))


def _ratio(long_s: float, short_s: float) -> int:
    ratio = round(long_s / short_s)
    if ratio < 1 or not np.isclose(ratio * short_s, long_s):
        raise TraceError(
            f"bins of {long_s:g} s do not fall into bins of {short_s:g} s: give a step that divides"
        )
    return ratio


def _merged(counts: Bins, step_s: float) -> Bins:
    ratio = _ratio(step_s, counts.step_s)
    ahead = round((counts.start_s % step_s) / counts.step_s)
    size = -(-(ahead + len(counts)) // ratio) * ratio

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        padded = np.zeros(size)
        padded[ahead : ahead + len(values)] = values
        result: NDArray[np.float64] = padded.reshape(-1, ratio).sum(axis=1)
        return result

    requests, means = counts.requests, counts.candidates
    squares = requests * means**2 * (1 + counts.candidates_cv**2)
    start_s = counts.start_s - ahead * counts.step_s
    merged = _of_sums(start_s, step_s, summed(requests), summed(requests * means), summed(squares))
    dispersion = summed(requests * counts.dispersion) / np.maximum(merged.requests, 1e-12)
    return replace(merged, dispersion=dispersion)


def _split(counts: Bins, step_s: float) -> Bins:
    ratio = _ratio(counts.step_s, step_s)
    columns = (counts.candidates, counts.candidates_cv, counts.dispersion)
    repeated = (np.repeat(column, ratio) for column in columns)
    return Bins(counts.start_s, step_s, np.repeat(counts.requests / ratio, ratio), *repeated)
