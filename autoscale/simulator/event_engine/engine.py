"""The event engine as seen from Python."""

from collections.abc import Mapping

import numpy as np

from autoscale.simulator.cluster.nodes import NodeChange, Replica
from autoscale.simulator.engine_base import Floats, UnitCounts
from autoscale.simulator.event_engine.initial_state import initial_state
from autoscale.simulator.event_engine.kernel import entries
from autoscale.simulator.event_engine.state import (
    ARRIVED,
    DROPPED,
    IN_TIME,
    LATENCY_S,
    OPEN,
    EngineState,
    blank_replicas,
    with_more_replicas,
    with_more_works,
)
from autoscale.simulator.trace_feed import Feed
from autoscale.spec import Key, PipelineSpec


class EventEngine:
    """Simulates the requests in a feed."""

    def __init__(
        self,
        spec: PipelineSpec,
        feed: Feed,
        seed: int,
        draws: Mapping[Key, Floats] | None = None,
    ) -> None:
        """Start without replicas.

        Args:
            spec: the pipeline.
            feed: the requests.
            seed: the random seed.
            draws: by key, (DRAWS,) factors on the mean batch time, drawn at random. The default is lognormal.
        """
        self._feed = feed
        self._entries = entries()
        self._keys = list(spec.keys())
        self._units = [unit.name for unit in spec.units]
        self._set_state(initial_state(spec, seed, draws or {}))
        self._slots: dict[int, int] = {}
        self._unused = list(range(len(self.state.replicas) - 1, len(spec.units) - 1, -1))

    def _set_state(self, state: EngineState) -> None:
        self.state, self._table = state, state.table()
        self._address = int(self._table.ctypes.data)

    @property
    def start_s(self) -> float:
        """The time at which the first request arrives, or the requested start time."""
        return self._feed.start_s

    def end_s(self, until_s: float) -> float:
        """Return the arrival time of the last request, or infinity if it does not arrive before ``until_s``."""
        return self._feed.end_s(until_s)

    def advance(self, until_s: float) -> None:
        """Simulate up to ``until_s``."""
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
            self._set_state(with_more_works(self.state))

    def apply(self, change: NodeChange) -> None:
        """Apply a replica change: start routing to it, stop routing to it, or remove it."""
        number = change.replica.number
        if change.did == "opened":
            if not self._unused:
                previous_count = len(self.state.replicas)
                self._set_state(with_more_replicas(self.state))
                self._unused = list(range(len(self.state.replicas) - 1, previous_count - 1, -1))
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
            self._set_state(with_more_works(self.state))

    def is_idle(self, replica: Replica) -> bool:
        """Return whether a replica has no requests left. Routing to the replica must have stopped."""
        slot = self._slots.get(replica.number)
        if slot is None:
            return True
        record = self.state.replicas[slot]
        return not (record["connections"] or record["in_flight"] or record["busy"])

    def weigh(self, unit: str, weights: Mapping[str, float]) -> None:
        """Split the unit's candidates over its pools by these weights from now on."""
        for index, key in enumerate(self._keys):
            if key.unit == unit:
                self.state.keys["weight"][index] = weights.get(key.pool, 0.0)
                self.state.keys["credit"][index] = 0.0

    def measure(self) -> Mapping[Key, UnitCounts]:
        """Return the counters by key."""
        now_s = float(self.state.clock["now_s"][0])
        measured = {}
        for key, record in zip(self._keys, self.state.keys, strict=True):
            since_s = now_s - record["ongoing_at_s"]
            measured[key] = UnitCounts(
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
        """Return request totals by outcome."""
        return self.state.totals.copy()  # type: ignore[no-any-return]

    def latencies(self) -> Floats:
        """Return the latency histogram."""
        return self.state.latencies.astype(np.float64)  # type: ignore[no-any-return]

    def finish(self) -> int:
        """Finish all work in progress, and return the number of events.

        Requests that still wait for a first replica are counted as dropped.
        """
        feed = self._feed
        feed.position = len(feed.times_s)
        while self.state.clock["heap"][0]:
            self._run(float(self.state.heap["at_s"][: self.state.clock["heap"][0]].max()))
        totals = self.state.totals
        answered = totals[IN_TIME:LATENCY_S].sum()
        totals[DROPPED] += totals[ARRIVED] - answered
        return int(self.state.clock["events"][0])


def compile_engine(spec: PipelineSpec) -> None:
    """Compile the engine into the cache on disk if it is not there yet, so that other processes find it."""
    engine = EventEngine(spec, Feed([(np.zeros(1), np.ones(1, np.int32))], 0.0, None), 0)
    replica = Replica(0, next(spec.keys()))
    engine.apply(NodeChange("opened", replica))
    engine.advance(1.0)
    engine.apply(NodeChange("closed", replica))
