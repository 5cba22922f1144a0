"""The event engine: every request, batch and call, one after another, in compiled code."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from autoscale.capacity.service_time import ServiceTime, service_time
from autoscale.serving_rules import rescue_s
from autoscale.simulator.cluster.nodes import Change, Replica
from autoscale.simulator.engine_base import Floats, Measured
from autoscale.simulator.event_engine.kernel import entries
from autoscale.simulator.event_engine.state import (
    ARRIVED,
    BUCKETS,
    CLOCK,
    CONNECTIONS,
    DRAWS,
    DROPPED,
    EVENT,
    IN_TIME,
    KEY,
    LATENCY_S,
    OPEN,
    SIZES,
    UNIT,
    EngineState,
    blank_replicas,
    blank_works,
    with_more_replicas,
    with_more_works,
)
from autoscale.simulator.trace_feed import Feed
from autoscale.spec import Key, PipelineSpec

_WORKS = 1 << 14
_REPLICAS = 64


class EventEngine:
    """Simulates a feed's requests. ``draws``: factors on a batch's mean time, (DRAWS,) each, where not lognormal."""

    def __init__(
        self,
        spec: PipelineSpec,
        feed: Feed,
        seed: int,
        draws: Mapping[Key, Floats] | None = None,
    ) -> None:
        """Start with no replica."""
        self._feed = feed
        self._entries = entries()
        self._keys = list(spec.keys())
        self._units = [unit.name for unit in spec.units]
        self._hold(_first_state(spec, seed, draws or {}))
        self._slots: dict[int, int] = {}
        self._unused = list(range(len(self.state.replicas) - 1, len(spec.units) - 1, -1))

    def _hold(self, state: EngineState) -> None:
        self.state, self._table = state, state.table()
        self._address = int(self._table.ctypes.data)

    @property
    def start_s(self) -> float:
        """When the first request comes, or where the trace was asked to start."""
        return self._feed.start_s

    def end_s(self, until_s: float) -> float:
        """Give when the last request comes, if that is before ``until_s``; else infinity."""
        return self._feed.end_s(until_s)

    def advance(self, until_s: float) -> None:
        """Let happen what happens before ``until_s``."""
        feed = self._feed
        feed.read_to(until_s)
        self._run(until_s)

    def _run(self, until_s: float) -> None:
        feed = self._feed
        while True:
            feed.position = self._entries.advance(
                self._address, until_s, feed.times_s, feed.candidates, feed.position
            )
            if self.state.clock["now_s"][0] == until_s:
                return
            self._hold(with_more_works(self.state))

    def apply(self, change: Change) -> None:
        """Route to a replica, no more, or lose it."""
        number = change.replica.number
        if change.did == "opened":
            if not self._unused:
                had = len(self.state.replicas)
                self._hold(with_more_replicas(self.state))
                self._unused = list(range(len(self.state.replicas) - 1, had - 1, -1))
            slot = self._slots[number] = self._unused.pop()
            self._make_room()
            replicas = self.state.replicas
            replicas[slot] = blank_replicas(1)[0]
            replicas["key"][slot] = self._keys.index(change.replica.key)
            replicas["state"][slot] = OPEN
            replicas["stamp"][slot] = number
            self.state.expected_s[slot] = 0.0
            self._entries.opened(self._address, slot)
        elif number in self._slots:
            slot = self._slots[number]
            self._make_room()
            self._entries.closed(self._address, slot, change.did == "died")
            if change.did in {"died", "gone"}:
                self.state.replicas["stamp"][slot] = -1
                self._unused.append(self._slots.pop(number))

    def _make_room(self) -> None:
        clock, need = self.state.clock, 2 * len(self.state.replicas) + 64
        while clock["free_works"][0] <= need or len(self.state.heap) - clock["heap"][0] <= need:
            self._hold(with_more_works(self.state))

    def is_idle(self, replica: Replica) -> bool:
        """Whether a replica that is not routed to holds nothing any more."""
        slot = self._slots.get(replica.number)
        if slot is None:
            return True
        record = self.state.replicas[slot]
        return not (record["connections"] or record["in_flight"] or record["busy"])

    def weigh(self, unit: str, weights: Mapping[str, float]) -> None:
        """Split the unit's candidates over its pools by these weights from now on."""
        for place, key in enumerate(self._keys):
            if key.unit == unit:
                self.state.keys["weight"][place] = weights.get(key.pool, 0.0)
                self.state.keys["credit"][place] = 0.0

    def measure(self) -> Mapping[Key, Measured]:
        """Give what was counted so far."""
        now_s = float(self.state.clock["now_s"][0])
        measured = {}
        for key, record in zip(self._keys, self.state.keys, strict=True):
            since_s = now_s - record["ongoing_at_s"]
            measured[key] = Measured(
                arrived_requests=float(record["arrived_requests"]),
                arrived_candidates=float(record["arrived_candidates"]),
                served_candidates=float(record["served_candidates"]),
                shed_requests=float(record["shed_requests"]),
                missed_requests=float(record["missed_requests"]),
                waiting_candidates=float(record["waiting_candidates"]),
                ongoing_s=float(record["ongoing_s"] + record["ongoing"] * since_s),
                batches=float(record["batches"]),
                busy_s=float(record["busy_s"]),
            )
        return measured

    def totals(self) -> Floats:
        """Give what became of requests so far."""
        return self.state.totals.copy()  # type: ignore[no-any-return]

    def latencies(self) -> Floats:
        """Give the histogram of latencies so far."""
        return self.state.latencies.astype(np.float64)  # type: ignore[no-any-return]

    def finish(self) -> int:
        """Let end what is under way; what waits for a replica that never came is dropped."""
        feed = self._feed
        feed.position = len(feed.times_s)
        while self.state.clock["heap"][0]:
            self._run(float(self.state.heap["at_s"][: self.state.clock["heap"][0]].max()))
        totals = self.state.totals
        answered = totals[IN_TIME:LATENCY_S].sum()
        totals[DROPPED] += totals[ARRIVED] - answered
        return int(self.state.clock["events"][0])


def compile_engine(spec: PipelineSpec) -> None:
    """Have the engine's code compiled and on disk, where it is not yet: processes that follow find it there."""
    engine = EventEngine(spec, Feed([(np.zeros(1), np.ones(1, np.int32))], 0.0, None), 0)
    replica = Replica(0, next(spec.keys()))
    engine.apply(Change("opened", replica))
    engine.advance(1.0)
    engine.apply(Change("closed", replica))


def _first_state(spec: PipelineSpec, seed: int, draws: Mapping[Key, Floats]) -> EngineState:
    keys = list(spec.keys())
    times = [service_time(spec.placed(key).profile) for key in keys]
    knots = max(len(time.candidates) for time in times)
    replicas = blank_replicas(_REPLICAS)
    state = EngineState(
        clock=_clock(spec, seed),
        units=np.zeros(len(spec.units), UNIT),
        keys=np.zeros(len(keys), KEY),
        replicas=replicas,
        works=blank_works(_WORKS),
        heap=np.zeros(_WORKS, EVENT),
        opened=np.zeros((len(keys), _REPLICAS), np.int32),
        rings=np.full((len(keys), CONNECTIONS + 1), -1, np.int32),
        knots=np.array([_longer(time, knots)[0] for time in times]),
        knot_s=np.array([_longer(time, knots)[1] for time in times]),
        request_s=np.array([time.per_request_s for time in times]),
        draws=np.array(
            [draws.get(key, _lognormal(time.sigma)) for key, time in zip(keys, times, strict=True)]
        ),
        expected_s=np.zeros((_REPLICAS, SIZES)),
        expected_at_s=np.zeros((_REPLICAS, SIZES)),
        stack=np.zeros(_WORKS, np.int32),
        wakes=np.zeros(_REPLICAS, np.int32),
        latencies=np.zeros(BUCKETS, np.int64),
        totals=np.zeros(LATENCY_S + 1),
    )
    for u, unit in enumerate(spec.units):
        first = next(i for i, key in enumerate(keys) if key.unit == unit.name)
        state.units[u] = (
            unit.max_candidates,
            unit.max_waiting_candidates,
            unit.max_calls_in_flight,
            first,
            len(unit.placed),
        )
        replicas["key"][u] = first  # the limbo: what waits while no replica is open
        for k in range(first, first + len(unit.placed)):
            state.keys["unit"][k] = u
            state.keys["overhead_s"][k] = times[k].overhead_s
            state.keys["overhead_cpu_s"][k] = times[k].overhead_cpu_s
            state.keys["relief"][k] = times[k].relief
            state.keys["neighbours"][k] = times[k].neighbours
    return state


def _clock(spec: PipelineSpec, seed: int) -> Any:
    clock = np.zeros(1, CLOCK)
    deadline_s = spec.deadline_ms / 1e3
    clock["free_works"] = _WORKS
    clock["units"] = len(spec.units)
    clock["random"] = np.random.default_rng((seed, 3)).integers(1, 1 << 63, dtype=np.uint64)
    clock["deadline_s"], clock["objective_s"] = deadline_s, spec.p99_ms / 1e3
    if spec.fallback is not None:
        clock["promises"] = 1
        clock["rescue_s"] = rescue_s(deadline_s)
        clock["fallback_s"] = spec.fallback.seconds_per_candidate
    return clock


def _longer(time: ServiceTime, count: int) -> tuple[Floats, Floats]:
    """Give so many knots: past a profile's last, its last slope goes on."""
    candidates, seconds = list(time.candidates), list(time.seconds)
    slope = (seconds[-1] - seconds[-2]) / (candidates[-1] - candidates[-2])
    while len(candidates) < count:
        candidates.append(candidates[-1] + 1.0)
        seconds.append(seconds[-1] + slope)
    return np.array(candidates), np.array(seconds)


def _lognormal(sigma: float) -> Floats:
    """Give equally likely factors of mean 1."""
    from scipy.special import ndtri

    if sigma <= 0:
        return np.ones(DRAWS)
    factors: Floats = np.exp(sigma * ndtri((np.arange(DRAWS) + 0.5) / DRAWS))
    scaled: Floats = factors / factors.mean()
    return scaled
