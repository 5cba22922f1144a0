"""The step engine, an approximation that simulates days in seconds.

Between two runs of the control loop the load and the cluster are constant. Latencies are as in the steady state. If
more requests arrive than the cluster can serve, a backlog grows and delays later requests.

If the trace has only rates, the number of requests in a step is drawn at random. Near saturation, random fluctuations
cause backlogs, and policies that react to backlogs amplify them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from autoscale.simulator.arrivals import Rates
from autoscale.simulator.cluster.nodes import NodeChange, Replica
from autoscale.simulator.engine_base import Floats, UnitCounts
from autoscale.simulator.event_engine.state import (
    ARRIVED,
    BUCKETS,
    DEGRADED,
    DROPPED,
    IN_TIME,
    LATENCY_S,
    SHED,
    TOO_LATE,
)
from autoscale.simulator.step_engine.backlog import most_waiting, spread
from autoscale.simulator.step_engine.lateness import delayed, refused
from autoscale.simulator.step_engine.steady import Steady
from autoscale.simulator.step_engine.steady_cache import SteadyCache
from autoscale.simulator.step_engine.steady_states import LOADS
from autoscale.spec import Key, PipelineSpec


@dataclass(slots=True)
class _Counts:
    """A key's counters, in the same order as in ``UnitCounts``, without ``waiting_candidates``."""

    counts: Floats = field(default_factory=lambda: np.zeros(8))
    waiting_candidates: float = 0.0


class StepEngine:
    """Simulates a pipeline under a series of arrival rates."""

    def __init__(
        self,
        spec: PipelineSpec,
        rates: Rates,
        sample: NDArray[np.int32],
        seed: int,
        start_s: float | None,
        *,
        counted: bool,
        known: SteadyCache,
    ) -> None:
        """Start without replicas.

        Args:
            spec: the pipeline.
            rates: the load.
            sample: a sample of request sizes in candidates.
            seed: the random seed.
            start_s: the requested start. None: the start of the rates.
            counted: whether the rates are counts from a real trace. Otherwise the counts are drawn at random.
            known: the steady states from earlier simulations.
        """
        self._random = None if counted else np.random.default_rng((seed, 4))
        self._spec = spec
        self._keys = list(spec.keys())
        self._states = known.get(spec, sample, seed)
        self._candidates = float(sample.mean())
        edges_s = rates.start_s + rates.step_s * np.arange(len(rates.requests_per_s) + 1)
        # A larger request counts as several.
        weights = np.broadcast_to(np.asarray(rates.candidates) / self._candidates, rates.requests_per_s.shape)
        self._edges_s = edges_s
        self._arrival_sums = np.concatenate([[0.0], np.cumsum(rates.requests_per_s * rates.step_s)])
        self._work_sums = np.concatenate([[0.0], np.cumsum(rates.requests_per_s * weights * rates.step_s)])
        self._now_s = self.start_s = rates.start_s if start_s is None else start_s
        self._last_s = rates.end_s
        self._ready = dict.fromkeys(self._keys, 0)
        self._weights: dict[Key, float] = dict.fromkeys(self._keys, 1.0)
        self._backlog = 0.0
        self._held_s = 0.0
        self._by_key = {key: _Counts() for key in self._keys}
        self._totals = np.zeros(LATENCY_S + 1)
        self._latencies = np.zeros(BUCKETS)

    def end_s(self, until_s: float) -> float:
        """Return a time just before the rates end if they end by ``until_s``, otherwise infinity."""
        return np.nextafter(self._last_s, 0.0) if self._last_s <= until_s else float("inf")

    def apply(self, change: NodeChange) -> None:
        """Count a replica as open, or stop counting it."""
        if change.did == "opened":
            self._ready[change.replica.key] += 1
        elif change.did == "closed":
            self._ready[change.replica.key] -= 1

    def is_idle(self, replica: Replica) -> bool:
        """Return True, because in this engine a replica has no requests left when routing to it stops."""
        return True

    def weigh(self, unit: str, weights: Mapping[str, float]) -> None:
        """Split the unit's candidates over its pools by these weights from now on."""
        for key in self._keys:
            if key.unit == unit:
                self._weights[key] = weights.get(key.pool, 0.0)

    def measure(self) -> Mapping[Key, UnitCounts]:
        """Return the counters by key."""
        measured = {}
        for key, counted in self._by_key.items():
            requests, candidates, served, shed, missed, *rest = (float(n) for n in counted.counts)
            waiting = counted.waiting_candidates
            measured[key] = UnitCounts(requests, candidates, served, shed, missed, waiting, *rest)
        return measured

    def totals(self) -> Floats:
        """Return request totals by outcome."""
        return self._totals.copy()

    def latencies(self) -> Floats:
        """Return the latency histogram."""
        return self._latencies.copy()

    def advance(self, until_s: float) -> None:
        """Simulate up to ``until_s``."""
        elapsed_s = until_s - self._now_s
        if elapsed_s <= 0:
            return
        arrivals, work = (
            float(np.interp(until_s, self._edges_s, sums) - np.interp(self._now_s, self._edges_s, sums))
            for sums in (self._arrival_sums, self._work_sums)
        )
        self._now_s = until_s
        scale = work / arrivals if arrivals else 1.0
        arrivals = arrivals if self._random is None else float(self._random.poisson(arrivals))
        self._totals[ARRIVED] += arrivals
        shares = self._shares()
        per_s = self._states.saturation_per_s(self._ready, shares) if shares is not None else 0.0
        if shares is None or not per_s:
            self._queue_arrivals(arrivals, elapsed_s)
            return
        capacity = per_s / scale * elapsed_s
        waited_s = self._held_s / 2 + self._backlog / capacity * elapsed_s
        self._held_s = 0.0
        served = min(capacity, self._backlog + arrivals)
        backlog = self._backlog + arrivals - served
        excess = max(
            0.0, backlog - most_waiting(self._spec, self._replicas(), capacity / elapsed_s, self._candidates)
        )
        self._backlog = backlog - excess
        waited_s = (waited_s + self._backlog / capacity * elapsed_s) / 2
        # The steady state's load includes the served backlog from the previous step.
        state = self._states.at(self._ready, shares, served / elapsed_s * scale / per_s)
        shed, late = self._serve(state, served, waited_s)
        refused(self._spec, excess, self._totals, self._latencies)
        self._count(state, shares, elapsed_s, arrivals, served, shed + excess, late)

    def finish(self) -> int:
        """Serve the backlog, or drop it if a unit has no replica. Return 0, because this engine counts no events."""
        shares = self._shares()
        if shares is None or not self._backlog:
            self._totals[DROPPED] += self._backlog
        else:
            per_s = max(self._states.saturation_per_s(self._ready, shares), 1e-9)
            waits_s = self._held_s / 2 + self._backlog / per_s / 2
            self._serve(self._states.at(self._ready, shares, LOADS[-1]), self._backlog, waits_s)
        self._backlog = 0.0
        return 0

    def _shares(self) -> dict[Key, float] | None:
        """Return each key's share of its unit's requests, or None if a unit has no open replica."""
        shares: dict[Key, float] = {}
        for unit in self._spec.units:
            keys = [key for key in self._keys if key.unit == unit.name]
            open_keys = [key for key in keys if self._ready[key]]
            if not open_keys:
                return None
            total = sum(self._weights[key] for key in open_keys)
            for key in keys:
                shares[key] = 0.0
            for key in open_keys if total else open_keys[:1]:
                shares[key] = self._weights[key] / total if total else 1.0
        return shares

    def _queue_arrivals(self, arrivals: float, elapsed_s: float) -> None:
        """Queue arrivals while a unit has no open replica, up to one queue's limit. The rest is shed."""
        first = self._spec.units[0]
        room = max(0.0, first.max_waiting_candidates / self._candidates - self._backlog)
        queued = min(arrivals, room)
        self._backlog += queued
        self._held_s += elapsed_s
        self._totals[SHED] += arrivals - queued
        counted = self._by_key[self._keys[0]]
        counted.counts[:2] += (arrivals, arrivals * self._candidates)
        counted.counts[3:5] += arrivals - queued
        counted.counts[5] += self._backlog * elapsed_s
        counted.waiting_candidates = self._backlog * self._candidates

    def _replicas(self) -> dict[str, int]:
        """Return the number of open replicas by unit, over all its pools."""
        replicas = dict.fromkeys((unit.name for unit in self._spec.units), 0)
        for key, count in self._ready.items():
            replicas[key.unit] += count
        return replicas

    def _serve(self, state: Steady, served: float, waited_s: float) -> tuple[float, float]:
        """Count the outcomes for served requests that waited ``waited_s``.

        Returns:
            How many requests were shed, and how many were answered in full but late.
        """
        outcomes, answers = state.outcomes * served, state.latencies * served
        if waited_s > 1e-4:
            answers = delayed(self._spec, answers, outcomes, waited_s)
        self._latencies += answers
        self._totals[IN_TIME:] += outcomes[IN_TIME:]
        return float(outcomes[DEGRADED:LATENCY_S].sum()), float(outcomes[TOO_LATE])

    def _count(
        self,
        state: Steady,
        shares: Mapping[Key, float],
        elapsed_s: float,
        arrivals: float,
        served: float,
        shed: float,
        late: float,
    ) -> None:
        first, reached = self._spec.units[0].name, self._states.reached(state)
        behind = spread(self._spec, self._replicas(), self._backlog, self._candidates)
        for index, key in enumerate(self._keys):
            share, replicas, part = shares[key], self._ready[key], behind[key.unit]
            ongoing = float(state.ongoing[index]) * replicas + share * part.ongoing
            counted = self._by_key[key]
            # Requests that were shed at the ingress did not reach the units behind it.
            arrived = share * (arrivals if key.unit == first else served * reached[key.unit])
            counted.counts += (
                arrived,
                arrived * self._candidates,
                min(served * share, arrived) * self._candidates,
                shed * share,
                (shed + late) * share,
                min(ongoing, share * part.most_ongoing) * elapsed_s,
                float(state.batches[index]) * served,
                float(state.busy[index]) * replicas * elapsed_s,
            )
            waiting = float(state.waiting[index]) * replicas
            counted.waiting_candidates = waiting + share * part.requests * self._candidates
