"""The stepped engine: days in seconds. Between two looks of the control loop the load is even and the cluster as it is;
latencies are those of its steady state, and where more comes than it can do a backlog grows, that delays all behind it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.simulator import world as w
from autoscale.simulator.arrivals import Chunk, Rates
from autoscale.simulator.engine import Floats, Measured
from autoscale.simulator.feed import Feed
from autoscale.simulator.nodes import Change, Replica
from autoscale.simulator.steady import LOADS, Steady, SteadyStates
from autoscale.spec import Key, PipelineSpec

_UPPER_S = w.LEAST_S * np.exp((np.arange(w.BUCKETS) + 1) / w.PER_E)
_SAMPLE = 4096
_WAITS = 0.3
"""Of the deadline a request waits so long at most where there is a fallback: batches past their share of the time that
the queue has are answered by it (``services/pace.py``)."""


@dataclass(slots=True)
class _Counts:
    """What a key has counted, as ``Measured``."""

    counts: Floats = field(default_factory=lambda: np.zeros(7))
    waiting_candidates: float = 0.0


class StepEngine:
    """Simulates rates."""

    def __init__(
        self,
        spec: PipelineSpec,
        rates: Rates,
        sample: NDArray[np.int32],
        seed: int,
        start_s: float | None,
        *,
        counted: bool,
    ) -> None:
        """Start with no replica; ``sample`` is of the requests' candidates.

        counted: the rates are counts of requests; else what is measured of them scatters as counts would.
        """
        self._random = None if counted else np.random.default_rng((seed, 4))
        self._spec = spec
        self._keys = list(spec.keys())
        self._states = SteadyStates(spec, sample, seed)
        self._candidates = float(sample.mean())
        edges_s = rates.start_s + rates.step_s * np.arange(len(rates.requests_per_s) + 1)
        # Larger requests are as more of them.
        weights = np.broadcast_to(np.asarray(rates.candidates) / self._candidates, rates.requests_per_s.shape)
        self._edges_s = edges_s
        self._come = np.concatenate([[0.0], np.cumsum(rates.requests_per_s * rates.step_s)])
        self._work = np.concatenate([[0.0], np.cumsum(rates.requests_per_s * weights * rates.step_s)])
        self._now_s = self.start_s = rates.start_s if start_s is None else start_s
        self._last_s = rates.end_s
        self._ready = dict.fromkeys(self._keys, 0)
        self._weights: dict[Key, float] = dict.fromkeys(self._keys, 1.0)
        self._backlog = 0.0
        self._held_s = 0.0
        self._by_key = {key: _Counts() for key in self._keys}
        self._totals = np.zeros(w.LATENCY_S + 1)
        self._latencies = np.zeros(w.BUCKETS)

    def end_s(self, until_s: float) -> float:
        """Give when the rates end, if that is before ``until_s``; else infinity."""
        return np.nextafter(self._last_s, 0.0) if self._last_s <= until_s else float("inf")

    def apply(self, change: Change) -> None:
        """Count a replica among the open ones, or no more."""
        if change.did == "opened":
            self._ready[change.replica.key] += 1
        elif change.did == "closed":
            self._ready[change.replica.key] -= 1

    def is_idle(self, replica: Replica) -> bool:
        """Whether a replica that is not routed to holds nothing any more: at once."""
        return True

    def weigh(self, unit: str, weights: Mapping[str, float]) -> None:
        """Split the unit's candidates over its pools by these weights from now on."""
        for key in self._keys:
            if key.unit == unit:
                self._weights[key] = weights.get(key.pool, 0.0)

    def measure(self) -> Mapping[Key, Measured]:
        """Give what was counted so far."""
        measured = {}
        for key, counted in self._by_key.items():
            requests, candidates, served, shed, ongoing_s, batches, busy_s = (
                float(n) for n in counted.counts
            )
            measured[key] = Measured(
                requests, candidates, served, shed, counted.waiting_candidates, ongoing_s, batches, busy_s
            )
        return measured

    def totals(self) -> Floats:
        """Give what became of requests so far."""
        return self._totals.copy()

    def latencies(self) -> Floats:
        """Give the histogram of latencies so far."""
        return self._latencies.copy()

    def advance(self, until_s: float) -> None:
        """Let happen what happens before ``until_s``."""
        elapsed_s = until_s - self._now_s
        if elapsed_s <= 0:
            return
        come, work = (
            float(np.interp(until_s, self._edges_s, sums) - np.interp(self._now_s, self._edges_s, sums))
            for sums in (self._come, self._work)
        )
        self._now_s = until_s
        self._totals[w.ARRIVED] += come
        shares = self._shares()
        per_s = self._states.saturation_per_s(self._ready, shares) if shares is not None else 0.0
        if shares is None or not per_s:
            self._hold(come, elapsed_s)
            return
        scale = work / come if come else 1.0
        capacity = LOADS[-1] * per_s / scale * elapsed_s
        waited_s = self._held_s / 2 + self._backlog / capacity * elapsed_s
        self._held_s = 0.0
        served = min(capacity, self._backlog + come)
        backlog = self._backlog + come - served
        excess = max(0.0, backlog - self._most_waiting(capacity / elapsed_s))
        self._backlog = backlog - excess
        waited_s = (waited_s + self._backlog / capacity * elapsed_s) / 2
        # What is left of a backlog of the step before is served at full load; then it is as what comes.
        state = self._states.at(self._ready, shares, served / elapsed_s * scale / per_s)
        self._serve(state, served, waited_s)
        self._refuse(excess)
        self._count(state, shares, elapsed_s, come, served, excess)

    def finish(self) -> int:
        """Let end what waits."""
        shares = self._shares()
        if shares is None or not self._backlog:
            self._totals[w.DROPPED] += self._backlog
        else:
            per_s = self._states.saturation_per_s(self._ready, shares)
            waits_s = self._held_s / 2 + self._backlog / per_s / 2
            self._serve(self._states.at(self._ready, shares, LOADS[-1]), self._backlog, waits_s)
        self._backlog = 0.0
        return 0

    def _shares(self) -> dict[Key, float] | None:
        """Give each key's share of its unit's requests; None where a unit has no open replica."""
        shares: dict[Key, float] = {}
        for unit in self._spec.units:
            keys = [key for key in self._keys if key.unit == unit.name]
            able = [key for key in keys if self._ready[key]]
            if not able:
                return None
            total = sum(self._weights[key] for key in able)
            for key in keys:
                shares[key] = 0.0
            for key in able if total else able[:1]:
                shares[key] = self._weights[key] / total if total else 1.0
        return shares

    def _hold(self, come: float, elapsed_s: float) -> None:
        """No unit may go on: what comes waits for a first replica, up to the queue's limit."""
        first = self._spec.units[0]
        room = max(0.0, first.max_waiting_candidates / self._candidates - self._backlog)
        held = min(come, room)
        self._backlog += held
        self._held_s += elapsed_s
        self._totals[w.SHED] += come - held
        counted = self._by_key[self._keys[0]]
        counted.counts[:2] += (come, come * self._candidates)
        counted.counts[3] += come - held
        counted.counts[4] += self._backlog * elapsed_s
        counted.waiting_candidates = self._backlog * self._candidates

    def _most_waiting(self, per_s: float) -> float:
        deadline_s = self._spec.deadline_ms / 1e3
        by_time = per_s * deadline_s * (_WAITS if self._spec.fallback is not None else 1.0)
        last = self._spec.units[-1]
        replicas = sum(self._ready[key] for key in self._keys if key.unit == last.name)
        return min(by_time, replicas * last.max_waiting_candidates / self._candidates)

    def _serve(self, state: Steady, served: float, waited_s: float) -> None:
        outcomes = state.outcomes * served
        if waited_s > 1e-4:
            answers = state.latencies * served
            places = np.log((_UPPER_S + waited_s) / w.LEAST_S) * w.PER_E
            moved = np.bincount(
                np.minimum(places.astype(np.int64), w.BUCKETS - 1), weights=answers, minlength=w.BUCKETS
            )
            self._latencies += moved
            whole = outcomes[w.IN_TIME] + outcomes[w.TOO_LATE]
            objective = int(np.searchsorted(_UPPER_S, self._spec.p99_ms / 1e3))
            in_time = min(whole, float(moved[:objective].sum()))
            outcomes[w.IN_TIME], outcomes[w.TOO_LATE] = in_time, whole - in_time
            outcomes[w.LATENCY_S] += waited_s * answers.sum()
        else:
            self._latencies += state.latencies * served
        self._totals[w.IN_TIME :] += outcomes[w.IN_TIME :]

    def _refuse(self, excess: float) -> None:
        if not excess:
            return
        deadline_s = self._spec.deadline_ms / 1e3
        if self._spec.fallback is None:
            self._totals[w.SHED] += excess
            return
        waits_s = deadline_s * _WAITS
        self._totals[w.DEGRADED] += excess
        self._totals[w.LATENCY_S] += excess * waits_s
        self._latencies[int(np.log(waits_s / w.LEAST_S) * w.PER_E)] += excess

    def _count(
        self,
        state: Steady,
        shares: Mapping[Key, float],
        elapsed_s: float,
        come: float,
        served: float,
        excess: float,
    ) -> None:
        come = come if self._random is None else float(self._random.poisson(come))
        missed = float(state.outcomes[w.DEGRADED : w.LATENCY_S].sum()) * served + excess
        # A backlog waits at the ingress, but for what its limit of calls in flight lets through.
        behind = dict(zip((unit.name for unit in self._spec.units), self._behind(), strict=True))
        for place, key in enumerate(self._keys):
            share, replicas = shares[key], self._ready[key]
            waiting, calls = (share * count for count in behind[key.unit])
            ongoing = float(state.ongoing[place]) * replicas + calls
            counted = self._by_key[key]
            counted.counts += (
                come * share,
                come * share * self._candidates,
                served * share * self._candidates,
                missed * share,
                ongoing * elapsed_s,
                float(state.batches[place]) * served,
                float(state.busy[place]) * replicas * elapsed_s,
            )
            counted.waiting_candidates = float(state.waiting[place]) * replicas + waiting * self._candidates

    def _behind(self) -> list[tuple[float, float]]:
        """Give of the backlog, for each unit, the requests that wait in its queues, and its requests (calls) there."""
        left, behind = self._backlog, list[tuple[float, float]]()
        calls = math.inf
        for place, unit in enumerate(self._spec.units):
            replicas = sum(self._ready[key] for key in self._keys if key.unit == unit.name)
            full = max(1.0, unit.max_candidates / self._candidates)
            # Of what may pass on, all does: the next units' queues fill first.
            passes = 0.0
            if place + 1 < len(self._spec.units):
                passes = min(left, replicas * unit.max_calls_in_flight * full)
            ongoing = self._backlog if not place else min(calls, left / full)
            behind.append((left - passes, ongoing))
            left, calls = passes, replicas * unit.max_calls_in_flight
        return behind


def binned(
    chunks: Iterable[Chunk], step_s: float, start_s: float | None, end_s: float | None
) -> tuple[Rates, NDArray[np.int32]]:
    """Give a trace's rates by steps of ``step_s``, and a sample of its requests' candidates.

    Raises:
        TraceError: it has no request, or is not sorted.
    """
    feed = Feed(chunks, start_s, end_s)
    first_s = start_s if start_s is not None else float(np.floor(feed.start_s / step_s) * step_s)
    requests, candidates, until_s = list[float](), list[float](), first_s
    sample = np.zeros(0, np.int32)
    while feed.end_s(until_s) == float("inf"):
        until_s = first_s + step_s * (len(requests) + 1)
        feed.read_to(until_s)
        last = int(np.searchsorted(feed.times_s, until_s))
        come = feed.candidates[feed.position : last]
        if len(sample) < _SAMPLE:
            sample = np.concatenate([sample, come[: _SAMPLE // 16 + 1]])
        requests.append(len(come) / step_s)
        candidates.append(float(come.mean()) if len(come) else 1.0)
        feed.position = last
    if not requests:
        raise TraceError("the trace has no request: there is nothing to simulate")
    return Rates(first_s, step_s, np.array(requests), np.array(candidates)), sample


def sizes_of(rates: Rates) -> NDArray[np.int32]:
    """Give what stands for the candidates of all requests: their mean."""
    total = float(rates.requests_per_s.sum())
    if not total:
        raise TraceError("requests_per_s is 0 all along: there is nothing to simulate")
    mean = float((rates.requests_per_s * rates.candidates).sum()) / total
    return np.array([max(1, round(mean))], np.int32)
