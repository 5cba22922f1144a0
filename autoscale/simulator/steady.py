"""Steady states: what a cluster of so many replicas does at a load, found by the event engine and kept.

The stepped engine has no formula for its latencies: a few thousand requests through the very batcher and routing give
them, whatever units, pools, weights and ladders there are. Loads are looked at on a grid, between which the results are
mixed; more replicas than ``_MOST`` are stood for by fewer at the same load.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoscale.service_time import service_time
from autoscale.simulator import world as w
from autoscale.simulator.engine import Floats
from autoscale.simulator.events import EventEngine
from autoscale.simulator.feed import Feed
from autoscale.simulator.nodes import Change, Replica
from autoscale.spec import Key, PipelineSpec

LOADS = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97)
"""Of what full batches, one after another, would serve; what is above grows a backlog."""
_COUNTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 24)
_MOST = _COUNTS[-1]
_REQUESTS, _WARM = 12_000, 2_000


@dataclass(frozen=True, slots=True)
class Steady:
    """What happens at a load, for each request: outcomes (8,) as in ``World.totals``, latencies (BUCKETS,).

    waiting, ongoing: candidates in the queues and requests (calls) at replicas, by key, for each replica; busy: the
    share of the time that one is. batches: for each request.
    """

    outcomes: Floats
    latencies: Floats
    waiting: Floats
    ongoing: Floats
    busy: Floats
    batches: Floats

    def mixed(self, other: "Steady", share: float) -> "Steady":
        """Give this with a share of another."""
        return Steady(*(a + share * (b - a) for a, b in zip(_parts(self), _parts(other), strict=True)))


def _parts(state: Steady) -> tuple[Floats, ...]:
    return state.outcomes, state.latencies, state.waiting, state.ongoing, state.busy, state.batches


class SteadyStates:
    """Those of one pipeline whose requests have candidates as in ``sample``; each is found once."""

    def __init__(self, spec: PipelineSpec, sample: NDArray[np.int32], seed: int) -> None:
        """Know none."""
        self._spec, self._sample, self._seed = spec, sample, seed
        self._keys = list(spec.keys())
        self.capacity_per_s = {key: self._capacity_per_s(key, float(sample.mean())) for key in self._keys}
        self._known: dict[tuple[tuple[int, ...], tuple[float, ...], int], Steady] = {}

    def load_of(self, replicas: Mapping[Key, int], shares: Mapping[Key, float]) -> float:
        """Give the load that one request a second is to the busiest; a share without replicas is not looked at."""
        return max(
            (
                shares[key] / (replicas[key] * self.capacity_per_s[key])
                for key in self._keys
                if shares[key] > 0 and replicas[key] > 0
            ),
            default=0.0,
        )

    def at(self, replicas: Mapping[Key, int], shares: Mapping[Key, float], load: float) -> Steady:
        """Give the state at a load, of the last of ``LOADS`` at most."""
        fewer = self._fewer(replicas)
        rounded = tuple(round(shares[key] * 20) / 20 for key in self._keys)
        place = int(np.searchsorted(LOADS, min(load, LOADS[-1])))
        above = self._found(fewer, rounded, place)
        if not place or load >= LOADS[-1]:
            return above
        share = (load - LOADS[place - 1]) / (LOADS[place] - LOADS[place - 1])
        return self._found(fewer, rounded, place - 1).mixed(above, share)

    def _fewer(self, replicas: Mapping[Key, int]) -> tuple[int, ...]:
        scale = min(1.0, _MOST / max(1, *replicas.values()))
        counts = (replicas[key] * scale for key in self._keys)
        return tuple(0 if not n else max(1, min(_COUNTS, key=lambda known: abs(known - n))) for n in counts)

    def _found(self, replicas: tuple[int, ...], shares: tuple[float, ...], place: int) -> Steady:
        key = (replicas, shares, place)
        if key not in self._known:
            self._known[key] = self._find(replicas, shares, LOADS[place])
        return self._known[key]

    def _find(self, replicas: tuple[int, ...], shares: tuple[float, ...], load: float) -> Steady:
        by_key, share_of = (
            dict(zip(self._keys, replicas, strict=True)),
            dict(zip(self._keys, shares, strict=True)),
        )
        unit_load = self.load_of(by_key, share_of)
        if not unit_load:
            empty = np.zeros(len(self._keys))
            return Steady(np.zeros(w.LATENCY_S + 1), np.zeros(w.BUCKETS), empty, empty, empty, empty)
        random = np.random.default_rng((self._seed, 5, round(load * 1000), *replicas))
        count = _REQUESTS * (2 if load > 0.7 else 1)
        times_s = np.cumsum(random.exponential(unit_load / load, count + _WARM))
        engine = EventEngine(
            self._spec, Feed([(times_s, random.choice(self._sample, len(times_s)))], 0.0, None), self._seed
        )
        number = 0
        for unit in self._spec.units:
            engine.weigh(unit.name, {key.pool: share_of[key] for key in self._keys if key.unit == unit.name})
        for key, open_count in by_key.items():
            for _ in range(open_count):
                engine.apply(Change("opened", Replica(number, key)))
                number += 1
        engine.advance(float(times_s[_WARM]))
        totals, latencies, before = engine.totals(), engine.latencies(), engine.measure()
        engine.advance(float(times_s[-1]))
        elapsed_s = float(times_s[-1] - times_s[_WARM])
        outcomes, answers, after = engine.totals() - totals, engine.latencies() - latencies, engine.measure()
        ended = outcomes[w.IN_TIME : w.LATENCY_S].sum()
        open_counts = np.maximum(replicas, 1)
        ongoing = self._rates("ongoing_s", before, after, elapsed_s) / open_counts
        busy = self._rates("busy_s", before, after, elapsed_s) / open_counts
        return Steady(
            outcomes=outcomes / ended,
            latencies=answers / ended,
            # What is in the batch under way does not wait.
            waiting=np.maximum(ongoing - busy, 0.0) * float(self._sample.mean()),
            ongoing=ongoing,
            busy=busy,
            batches=self._rates("batches", before, after, 1.0) / ended,
        )

    def _rates(
        self, name: str, before: Mapping[Key, object], after: Mapping[Key, object], elapsed_s: float
    ) -> Floats:
        return np.array(
            [(getattr(after[key], name) - getattr(before[key], name)) / elapsed_s for key in self._keys]
        )

    def _capacity_per_s(self, key: Key, candidates: float) -> float:
        unit, time = self._spec.unit(key.unit), service_time(self._spec.placed(key).profile)
        requests = max(1, int(unit.max_candidates / candidates))
        return requests / max(float(time.busy_s(requests, requests * candidates)), 1e-9)
