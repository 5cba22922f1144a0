"""The timeline recorder, with one value for each bin, and quantiles from latency histograms."""

from collections import defaultdict

import numpy as np

from autoscale.simulator.cluster.cluster import Cluster
from autoscale.simulator.engine_base import Floats, SimulationEngine
from autoscale.simulator.event_engine.state import (
    ARRIVED,
    BUCKETS,
    DEGRADED,
    DROPPED,
    GONE,
    LATENCY_S,
    LEAST_S,
    PER_E,
    SHED,
    TOO_LATE,
)
from autoscale.simulator.results import LatencyTotals, RequestTotals, Timeline

_UPPER_S = LEAST_S * np.exp((np.arange(BUCKETS) + 1) / PER_E)
VIOLATED = 0.01
"""The objective is violated in a bin if more than this share of its requests miss it."""


class Recorder:
    """Records the values for each bin."""

    def __init__(self, engine: SimulationEngine, cluster: Cluster) -> None:
        """Start at the first bin."""
        self._engine, self._cluster = engine, cluster
        self._totals, self._latencies = engine.totals(), engine.latencies()
        self._cost = 0.0
        self._columns: dict[str, list[float]] = defaultdict(list)

    def end_bin(self) -> None:
        """Record the values since the last bin ended."""
        totals, latencies = self._engine.totals(), self._engine.latencies()
        counts, answers = totals - self._totals, latencies - self._latencies
        self._totals, self._latencies = totals, latencies
        columns = self._columns
        columns["arrived"].append(counts[ARRIVED])
        columns["misses"].append(counts[TOO_LATE:LATENCY_S].sum())
        columns["degraded"].append(counts[DEGRADED])
        columns["shed"].append(counts[SHED])
        columns["dropped"].append(counts[DROPPED] + counts[GONE])
        for name, value in zip(("p50", "p95", "p99"), quantiles_ms(answers, (0.5, 0.95, 0.99)), strict=True):
            columns[name].append(value)
        cost = self._cluster.cost
        columns["cost"].append(cost - self._cost)
        self._cost = cost
        for key, measured in self._engine.measure().items():
            columns[f"ready {key}"].append(self._cluster.ready[key].count)
            columns[f"target {key}"].append(self._cluster.targets[key])
            columns[f"waiting {key}"].append(measured.waiting_candidates)
        for pool, paid in self._cluster.paid.items():
            columns[f"nodes {pool}"].append(paid.count)

    def add_rest(self) -> None:
        """Add the requests that ended after the last bin to that bin, because they had arrived by its end."""
        totals = self._engine.totals()
        counts = totals - self._totals
        self._columns["misses"][-1] += counts[TOO_LATE:LATENCY_S].sum()
        self._columns["degraded"][-1] += counts[DEGRADED]
        self._columns["shed"][-1] += counts[SHED]
        self._columns["dropped"][-1] += counts[DROPPED] + counts[GONE]

    def timeline(self, start_s: float, bin_s: float) -> Timeline:
        """Return the recorded series."""
        series = {name: np.array(values, np.float64) for name, values in self._columns.items()}
        return Timeline(
            start_s=start_s,
            bin_s=bin_s,
            arrived=series["arrived"],
            misses=series["misses"],
            degraded=series["degraded"],
            shed=series["shed"],
            dropped=series["dropped"],
            p50_ms=series["p50"],
            p95_ms=series["p95"],
            p99_ms=series["p99"],
            cost=series["cost"],
            ready=_named(series, "ready "),
            target=_named(series, "target "),
            waiting_candidates=_named(series, "waiting "),
            nodes=_named(series, "nodes "),
        )


def _named(series: dict[str, Floats], prefix: str) -> dict[str, Floats]:
    return {name.removeprefix(prefix): values for name, values in series.items() if name.startswith(prefix)}


def quantiles_ms(latencies: Floats, levels: tuple[float, ...]) -> list[float]:
    """Return quantiles of the histogram ``latencies`` (BUCKETS,), in milliseconds. NaN if the histogram is empty."""
    sums = np.cumsum(latencies)
    if not sums[-1] > 0:
        return [float("nan")] * len(levels)
    quantiles = []
    for level in levels:
        bucket = min(int(np.searchsorted(sums, level * sums[-1])), BUCKETS - 1)
        before = sums[bucket - 1] if bucket else 0.0
        share = (level * sums[-1] - before) / max(latencies[bucket], 1e-300)
        quantiles.append(float(_UPPER_S[bucket] * np.exp((min(share, 1.0) - 1.0) / PER_E) * 1e3))
    return quantiles


def request_totals(totals: Floats) -> RequestTotals:
    """Return an engine's totals by name."""
    return RequestTotals(*(float(value) for value in totals[:LATENCY_S]))


def latency_totals(totals: Floats, latencies: Floats) -> LatencyTotals:
    """Return the mean and the quantiles of latency over all answers."""
    answers = latencies.sum()
    mean_ms = float(totals[LATENCY_S] / answers * 1e3) if answers > 0 else float("nan")
    return LatencyTotals(mean_ms, *quantiles_ms(latencies, (0.5, 0.95, 0.99)))
