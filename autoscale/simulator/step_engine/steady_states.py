"""Steady states: a cluster's behaviour at a constant load, computed with the event engine and cached.

The step engine has no formula for latencies. Instead, the event engine simulates 12,000 requests, or 24,000 at loads
above 0.7, with the real rules for batching and routing. This works for all units, pools, weights and ladders. Loads are
computed on a grid, and results are interpolated in between. More replicas than ``_MOST`` are approximated by fewer
replicas at the same load.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autoscale.capacity.calls import call_limit, mixed, next_unit
from autoscale.capacity.service_time import service_time
from autoscale.simulator.cluster.nodes import NodeChange, Replica
from autoscale.simulator.engine_base import Floats
from autoscale.simulator.event_engine.engine import EventEngine
from autoscale.simulator.event_engine.state import BUCKETS, IN_TIME, LATENCY_S
from autoscale.simulator.step_engine.steady import Steady
from autoscale.simulator.trace_feed import Feed
from autoscale.spec import Key, PipelineSpec

LOADS = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97)
"""The load grid, as shares of saturation. A higher load builds up a backlog."""
_COUNTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 24)
_MOST = _COUNTS[-1]
_REQUESTS, _WARM = 12_000, 2_000
_LOOKS = 50
_NO_LIMIT = 10**9
_KEPT = 8192
"""Number of cached states, about 17 KB each. The oldest is removed first."""


@functools.lru_cache(maxsize=1 << 14)
def _nearest(replicas: float) -> int:
    """Return the count in ``_COUNTS`` that stands for this number of replicas. Only 0 replicas become 0."""
    return max(1, min(_COUNTS, key=lambda known: abs(known - replicas))) if replicas else 0


class SteadyStates:
    """One pipeline's steady states, with request sizes drawn from ``sample``. Each state is computed once."""

    def __init__(self, spec: PipelineSpec, sample: NDArray[np.int32], seed: int) -> None:
        """Start without states."""
        self._spec, self._sample, self._seed = spec, sample, seed
        self._keys = list(spec.keys())
        self._capacity_per_s = {
            key: self._full_batches_per_s(key, float(sample.mean())) for key in self._keys
        }
        self._candidates = float(sample.mean())
        self._calls = {
            key: {
                to: call_limit(spec, key, to, self._candidates, 0.0)
                for to in self._keys
                if (behind := next_unit(spec, key.unit)) is not None and to.unit == behind.name
            }
            for key in self._keys
        }
        self._saturation_per_s: dict[tuple[tuple[int, ...], tuple[float, ...]], float] = {}
        self._known: dict[tuple[tuple[int, ...], tuple[float, ...], int], Steady] = {}

    def saturation_per_s(self, replicas: Mapping[Key, int], shares: Mapping[Key, float]) -> float:
        """Return the requests per second that the replicas can serve, or 0 if the shares go to no replica.

        This rate is measured with arrivals at twice the nominal rate, because it depends on both batch times and calls
        in flight.
        """
        fewer, rounded = self._fewer(replicas), self._rounded(shares)
        if (fewer, rounded) not in self._saturation_per_s:
            self._saturation_per_s[fewer, rounded] = self._saturate(fewer, rounded)
        few_per_s = self._nominal_per_s(dict(zip(self._keys, fewer, strict=True)), shares)
        if not few_per_s:
            return 0.0
        return self._saturation_per_s[fewer, rounded] * self._nominal_per_s(replicas, shares) / few_per_s

    def _nominal_per_s(self, replicas: Mapping[Key, int], shares: Mapping[Key, float]) -> float:
        """Return the requests/s at the slowest key, with full batches one after another and within its calls in flight.

        This is the cluster's nominal rate.
        """
        return min(
            (
                replicas[key] * min(self._capacity_per_s[key], self._calls_per_s(key, shares)) / shares[key]
                for key in self._keys
                if shares[key] > 0 and replicas[key] > 0
            ),
            default=0.0,
        )

    def _calls_per_s(self, key: Key, shares: Mapping[Key, float]) -> float:
        """Return the requests/s that a replica's calls to the next unit allow if the next unit's queues are empty."""
        limits = {to.pool: limit for to, limit in self._calls[key].items() if shares[to] > 0}
        if not limits:
            return math.inf
        weights = {to.pool: shares[to] for to in self._calls[key] if to.pool in limits}
        return mixed(limits, weights).per_s / self._candidates

    def at(self, replicas: Mapping[Key, int], shares: Mapping[Key, float], load: float) -> Steady:
        """Return the state at a load, as a share of saturation. Loads above ``LOADS[-1]`` are clipped."""
        fewer, rounded = self._fewer(replicas), self._rounded(shares)
        index = int(np.searchsorted(LOADS, min(load, LOADS[-1])))
        above = self._state(fewer, rounded, index)
        if not index or load >= LOADS[-1]:
            return above
        share = (load - LOADS[index - 1]) / (LOADS[index] - LOADS[index - 1])
        return self._state(fewer, rounded, index - 1).mixed(above, share)

    def reached(self, state: Steady) -> dict[str, float]:
        """Return for each unit the share of requests that reach it in a state."""
        shares = dict.fromkeys((unit.name for unit in self._spec.units), 0.0)
        for key, share in zip(self._keys, state.arrived, strict=True):
            shares[key.unit] += float(share)
        return {unit: min(1.0, share) for unit, share in shares.items()}

    def _fewer(self, replicas: Mapping[Key, int]) -> tuple[int, ...]:
        scale = min(1.0, _MOST / max(1, *replicas.values()))
        counts = (replicas[key] * scale for key in self._keys)
        return tuple(map(_nearest, counts))

    def _rounded(self, shares: Mapping[Key, float]) -> tuple[float, ...]:
        return tuple(round(shares[key] * 20) / 20 for key in self._keys)

    def _state(self, replicas: tuple[int, ...], shares: tuple[float, ...], index: int) -> Steady:
        key = (replicas, shares, index)
        if key not in self._known:
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = self._compute(replicas, shares, LOADS[index])
        return self._known[key]

    def _saturate(self, replicas: tuple[int, ...], shares: tuple[float, ...]) -> float:
        by_key = dict(zip(self._keys, replicas, strict=True))
        share_of = dict(zip(self._keys, shares, strict=True))
        per_s = self._nominal_per_s(by_key, share_of)
        if not per_s:
            return 0.0
        units = (replace(unit, max_waiting_candidates=_NO_LIMIT) for unit in self._spec.units)
        patient = replace(self._spec, units=tuple(units), deadline_ms=float(_NO_LIMIT), fallback=None)
        engine, times_s = self._engine_with(patient, replicas, shares, 2 * per_s, _REQUESTS)
        engine.advance(float(times_s[_WARM]))
        before = engine.totals()[IN_TIME:LATENCY_S].sum()
        engine.advance(float(times_s[-1]))
        served = engine.totals()[IN_TIME:LATENCY_S].sum() - before
        return float(served / (times_s[-1] - times_s[_WARM]))

    def _engine_with(
        self,
        spec: PipelineSpec,
        replicas: tuple[int, ...],
        shares: tuple[float, ...],
        per_s: float,
        requests: int,
    ) -> tuple[EventEngine, Floats]:
        """Return an engine with these replicas, and its request times."""
        random = np.random.default_rng((self._seed, 5, requests, *replicas))
        times_s = np.cumsum(random.exponential(1 / per_s, requests))
        feed = Feed([(times_s, random.choice(self._sample, requests))], 0.0, None)
        engine = EventEngine(spec, feed, self._seed)
        for unit in spec.units:
            weights = zip(self._keys, shares, strict=True)
            engine.weigh(unit.name, {key.pool: share for key, share in weights if key.unit == unit.name})
        opened = (key for key, count in zip(self._keys, replicas, strict=True) for _ in range(count))
        for number, key in enumerate(opened):
            engine.apply(NodeChange("opened", Replica(number, key)))
        return engine, times_s

    def _compute(self, replicas: tuple[int, ...], shares: tuple[float, ...], load: float) -> Steady:
        by_key = dict(zip(self._keys, replicas, strict=True))
        share_of = dict(zip(self._keys, shares, strict=True))
        per_s = load * self.saturation_per_s(by_key, share_of)
        if not per_s:
            empty = np.zeros(len(self._keys))
            return Steady(np.zeros(LATENCY_S + 1), np.zeros(BUCKETS), empty, empty, empty, empty, empty)
        requests = _REQUESTS * (2 if load > 0.7 else 1) + _WARM
        engine, times_s = self._engine_with(self._spec, replicas, shares, per_s, requests)
        engine.advance(float(times_s[_WARM]))
        totals, latencies, before = engine.totals(), engine.latencies(), engine.measure()
        waiting = np.zeros(len(self._keys))
        for until_s in np.linspace(times_s[_WARM], times_s[-1], _LOOKS + 1)[1:]:
            engine.advance(float(until_s))
            waiting += [measured.waiting_candidates / _LOOKS for measured in engine.measure().values()]
        elapsed_s = float(times_s[-1] - times_s[_WARM])
        outcomes, answers, after = engine.totals() - totals, engine.latencies() - latencies, engine.measure()
        ended = outcomes[IN_TIME:LATENCY_S].sum()
        open_counts = np.maximum(replicas, 1)
        ongoing = self._rates("ongoing_s", before, after, elapsed_s) / open_counts
        busy = self._rates("busy_s", before, after, elapsed_s) / open_counts
        return Steady(
            outcomes=outcomes / ended,
            latencies=answers / ended,
            waiting=waiting / open_counts,
            ongoing=ongoing,
            busy=busy,
            batches=self._rates("batches", before, after, 1.0) / ended,
            arrived=self._rates("arrived_requests", before, after, 1.0) / ended,
        )

    def _rates(
        self, name: str, before: Mapping[Key, object], after: Mapping[Key, object], elapsed_s: float
    ) -> Floats:
        return np.array(
            [(getattr(after[key], name) - getattr(before[key], name)) / elapsed_s for key in self._keys]
        )

    def _full_batches_per_s(self, key: Key, candidates: float) -> float:
        unit, time = self._spec.unit(key.unit), service_time(self._spec.placed(key).profile)
        requests = max(1, int(unit.max_candidates / candidates))
        return requests / max(float(time.busy_s(requests, requests * candidates)), 1e-9)
