"""The simulator's main loop. It advances the clock from one due action to the next.

The engine simulates the requests in between.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autoscale.policies.base import Policy
from autoscale.simulator.arrivals import Arrivals
from autoscale.simulator.cluster.cluster import Cluster
from autoscale.simulator.cluster.nodes import Replica
from autoscale.simulator.control_loop import ControlLoop
from autoscale.simulator.engine_base import SimulationEngine
from autoscale.simulator.engines import make_engine
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.recorder import VIOLATED, Recorder, latency_totals, request_totals
from autoscale.simulator.results import PoolTotals, Simulation, UnitTotals
from autoscale.simulator.validation import check_spec
from autoscale.spec import PipelineSpec

if TYPE_CHECKING:
    from autoscale.simulator.step_engine.steady_cache import SteadyCache

Progress = Callable[[float], None]


def simulate(
    spec: PipelineSpec,
    policy: Policy[Any],
    arrivals: Arrivals,
    options: SimulationOptions | None = None,
    progress: Progress | None = None,
    known: "SteadyCache | None" = None,
) -> Simulation:
    """Simulate a pipeline under a policy. The same arguments give the same result.

    Args:
        spec: the pipeline.
        policy: the policy.
        arrivals: the requests or rates.
        options: the simulation options.
        progress: called at each decision with the present time in the trace.
        known: steady states that the step engine shares with other simulations.

    Raises:
        SpecError: the pipeline cannot be simulated, for example because a replica fits no node in its pool.
        ProfileError: a profile is missing.
        TraceError: the trace is empty, not sorted, or has invalid times.
        PolicyError: a decision is invalid.
    """
    options = options or SimulationOptions()
    check_spec(spec, options)
    return _Run(spec, policy, make_engine(spec, arrivals, options, known), options).result(progress)


class _Run:
    def __init__(
        self, spec: PipelineSpec, policy: Policy[Any], engine: SimulationEngine, options: SimulationOptions
    ) -> None:
        self._spec, self._options, self._engine = spec, options, engine
        interval_s = spec.decision_interval_s
        first_s = self._engine.start_s
        self._start_s = (
            first_s if options.start_s is not None else math.floor(first_s / interval_s) * interval_s
        )
        self._cluster = Cluster(
            spec,
            self._start_s,
            seed=options.seed,
            spot=options.spot,
            idle_node_s=options.idle_node_s,
            ingress_drain_s=options.ingress_drain_s,
            failures=options.failures,
        )
        for unit in spec.units:
            weights = {placed.pool: float(placed.initial_replicas) for placed in unit.placed}
            self._engine.weigh(unit.name, weights if any(weights.values()) else dict.fromkeys(weights, 1.0))
        self._draining: list[Replica] = []
        self._engine.advance(self._start_s)
        self._happens(self._start_s)
        self._loop = ControlLoop(spec, policy, self._cluster, self._engine, options.look_back_s)
        self._recorder = Recorder(self._engine, self._cluster)

    def result(self, progress: Progress | None) -> Simulation:
        end_s = self._run(progress)
        events = self._engine.finish()
        self._recorder.add_rest()
        spec, options, engine, cluster = self._spec, self._options, self._engine, self._cluster
        totals, measured = engine.totals(), engine.measure()
        timeline = self._recorder.timeline(self._start_s, options.bin_s)
        violated = timeline.misses > VIOLATED * timeline.arrived
        return Simulation(
            pipeline=spec.name,
            engine=options.engine,
            seed=options.seed,
            start_s=self._start_s,
            end_s=end_s,
            p99_objective_ms=spec.p99_ms,
            cost=cluster.cost,
            violated_s=min(float(violated.sum()) * options.bin_s, end_s - self._start_s),
            requests=request_totals(totals),
            latency=latency_totals(totals, engine.latencies()),
            units={
                str(key): UnitTotals(
                    replica_seconds=cluster.existing[key].seconds,
                    ready_seconds=cluster.ready[key].seconds,
                    busy_seconds=counts.busy_s,
                    started=cluster.existing[key].started,
                    lost=cluster.existing[key].lost,
                    batches=counts.batches,
                    candidates=counts.served_candidates,
                )
                for key, counts in measured.items()
            },
            pools={
                name: PoolTotals(
                    node_seconds=paid.seconds,
                    cost=paid.seconds * spec.pools[name].price_per_hour / 3600,
                    peak_nodes=paid.peak,
                    started=paid.started,
                    lost=paid.lost,
                )
                for name, paid in cluster.paid.items()
            },
            timeline=timeline,
            decisions=tuple(self._loop.decisions),
            incidents=tuple(cluster.incidents),
            events=events,
        )

    def _run(self, progress: Progress | None) -> float:
        interval_s, bin_s = self._spec.decision_interval_s, self._options.bin_s
        # Replicas sample and report their metrics once per interval, at unsynchronised times. The delay until a report
        # and the delay until it is read are each half an interval on average.
        age_s = min(self._spec.metrics_interval_s, interval_s)
        now_s = self._start_s
        self._loop.measure(now_s)
        steps, bins, measured = 1, 1, False
        while True:
            decide_s = self._tick(self._start_s + steps * interval_s)
            bin_end_s = self._start_s + bins * bin_s
            look_s = math.inf if measured else max(now_s, decide_s - age_s)
            due_s = max(now_s, self._tick(self._cluster.next_s))
            until_s = min(decide_s, bin_end_s, look_s, due_s)
            end_s = self._end_s(until_s)
            now_s = min(until_s, end_s)
            self._engine.advance(now_s)
            self._happens(now_s)
            if end_s <= until_s:
                self._recorder.end_bin()
                return end_s
            if now_s == look_s:
                self._loop.measure(now_s)
                measured = True
            if now_s == bin_end_s:
                self._recorder.end_bin()
                bins += 1
            if now_s == decide_s:
                self._loop.decide(now_s, keep=self._options.decisions == "all")
                self._apply_changes()
                steps, measured = steps + 1, False
                if progress is not None:
                    progress(now_s)

    def _end_s(self, until_s: float) -> float:
        """Return the requested end, or else the end of the decision interval in which the last request arrives."""
        if self._options.end_s is not None:
            return self._options.end_s
        last_s = self._engine.end_s(until_s)
        if last_s == math.inf:
            return math.inf
        interval_s = self._spec.decision_interval_s
        return self._start_s + (math.floor((last_s - self._start_s) / interval_s) + 1) * interval_s

    def _tick(self, at_s: float) -> float:
        """Return when Serve's control loop first runs at or after ``at_s``."""
        if at_s == math.inf:
            return math.inf
        tick_s = self._options.control_interval_s
        return self._start_s + math.ceil((at_s - self._start_s) / tick_s - 1e-6) * tick_s

    def _happens(self, now_s: float) -> None:
        self._cluster.happens(now_s)
        for replica in self._draining[:]:
            if replica.node is None:
                self._draining.remove(replica)
            elif self._cluster.may_go(replica) and self._engine.is_idle(replica):
                self._draining.remove(replica)
                self._cluster.drained(replica)
        self._apply_changes()

    def _apply_changes(self) -> None:
        for change in self._cluster.changes():
            self._engine.apply(change)
            if change.did == "closed" and change.replica.node is not None:
                self._draining.append(change.replica)
