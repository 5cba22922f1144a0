"""The autoscaling simulator: its speed and its correctness.

    python benchmarks/autoscaling/simulator.py [--json] [--seconds 100] [--seeds 6]

It reports:

- events per second of the event engine on one core, after its compiled code has been loaded
- seconds for a day of 1e9 requests in the step engine, under each policy
- the step engine compared with the event engine, as means over seeds
- the event engine compared with M/M/c and M/D/1
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median, stdev
from typing import Any

import numpy as np

from autoscale.config import AutoscalingConfig, make_policy
from autoscale.policies.fixed import Fixed
from autoscale.pools import PoolConfig
from autoscale.profiles import Profile, Timing
from autoscale.simulator.arrivals import Rates
from autoscale.simulator.cluster.nodes import NodeChange, Replica
from autoscale.simulator.event_engine.engine import EventEngine
from autoscale.simulator.event_engine.records import DRAWS
from autoscale.simulator.event_engine.state import IN_TIME, LATENCY_S
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.simulate import simulate
from autoscale.simulator.trace_feed import Feed
from autoscale.spec import PipelineSpec, PlacedUnit, UnitSpec

WANTED_DAY_S = 10.0
_CANDIDATES = 200
_EXPONENTIAL = -np.log1p(-(np.arange(DRAWS) + 0.5) / DRAWS)


def unit(name: str, replicas: int, *, at_once_ms: float, candidate_ms: float, calls: int = 1) -> UnitSpec:
    """Return a unit whose batches, at most 800 candidates, take `at_once_ms` plus `candidate_ms` per candidate."""
    times = {size: at_once_ms + candidate_ms * size for size in (1, 200, 800)}
    profile = Profile(
        unit=name,
        pool="cpu",
        machine="none: invented for this benchmark",
        timings=tuple(
            Timing(requests=1, candidates=n, p50_ms=ms, p99_ms=1.3 * ms, mean_ms=ms, runs=100)
            for n, ms in times.items()
        ),
        startup_s=5.0,
        memory_mib=500,
    )
    placed = PlacedUnit("cpu", profile, cpus=1, initial_replicas=replicas)
    return UnitSpec(name, (placed,), 800, 65_536, calls)


def pipeline(*units: UnitSpec, p99_ms: float = 40.0) -> PipelineSpec:
    """Return a pipeline with these units in one pool of 16-core nodes."""
    pool = PoolConfig(cpus=16, memory_gib=64, price_per_hour=0.7, max_nodes=1000)
    return PipelineSpec("benchmark", units, {"cpu": pool}, p99_ms=p99_ms, deadline_ms=500)


def one(replicas: int) -> PipelineSpec:
    """Return a pipeline with one unit: 4 ms for a request with 200 candidates, 10 ms for a full batch."""
    return pipeline(unit("ranker", replicas, at_once_ms=2.0, candidate_ms=0.01))


def split(ingresses: int, rankers: int) -> PipelineSpec:
    """Return a pipeline whose ranker is a separate unit."""
    front = unit("ingress", ingresses, at_once_ms=0.5, candidate_ms=0.0001, calls=4)
    return pipeline(front, *one(rankers).units)


def waves(per_s: float, end_s: float, period_s: float, step_s: float) -> Rates:
    """Return rates that rise and fall by 60%."""
    times_s = np.arange(0, end_s, step_s)
    return Rates(0.0, step_s, per_s * (1 + 0.6 * np.sin(2 * np.pi * times_s / period_s)), float(_CANDIDATES))


def speed(spec: PipelineSpec, per_s: float, requests: int, repeats: int = 3) -> dict[str, float]:
    """Return the median events per second over repeats. Drawing the trace is not timed."""
    random = np.random.default_rng(0)
    trace = [(np.cumsum(random.exponential(1 / per_s, requests)), np.full(requests, _CANDIDATES, np.int32))]
    rates = []
    for _ in range(repeats):
        started_s = time.process_time()
        simulation = simulate(spec, Fixed(spec), trace)
        rates.append(simulation.events / (time.process_time() - started_s))
    return {
        "events_per_s": median(rates),
        "events": simulation.events,
        "utilisation": _utilisation(simulation),
    }


def _utilisation(simulation: Simulation) -> float:
    return max(unit.busy_seconds / unit.ready_seconds for unit in simulation.units.values())


def day(spec: PipelineSpec, kind: str) -> dict[str, float]:
    """Simulate a day of 1e9 requests in the step engine. Return the seconds that this took, and the results."""
    config = AutoscalingConfig.model_validate({"policy": {"kind": kind}, "p99_ms": spec.p99_ms})
    spec = config.applied_to(spec)
    policy, rates = make_policy(config, spec), waves(1e9 / 86_400, 86_400, 86_400, 60.0)
    started_s = time.perf_counter()
    simulation = simulate(spec, policy, rates, SimulationOptions(engine="steps", decisions="changes"))
    return {
        "seconds": time.perf_counter() - started_s,
        "requests": simulation.requests.arrived,
        "cost": simulation.cost,
        "misses": simulation.requests.misses / simulation.requests.arrived,
        "p99_ms": simulation.latency.p99_ms,
    }


def agreement(spec: PipelineSpec, kind: str, seeds: int) -> dict[str, float]:
    """Compare both engines' cost and p99 over an hour of waves under a policy, as means over seeds.

    Some policies amplify random differences. The event engine's results differ by ``spread`` between seeds, so the
    difference between the means has the standard error ``error``.
    """
    config = AutoscalingConfig.model_validate({"policy": {"kind": kind}, "p99_ms": spec.p99_ms})
    spec = config.applied_to(spec)
    events, steps = (
        [
            simulate(
                spec,
                make_policy(config, spec),
                waves(800, 3600, 1200, 5.0),
                SimulationOptions.model_validate({"engine": engine, "seed": seed, "decisions": "changes"}),
            )
            for seed in range(seeds)
        ]
        for engine in ("events", "steps")
    )
    return {
        **_apart("cost", [one.cost for one in events], [one.cost for one in steps]),
        **_apart("p99_ms", [one.latency.p99_ms for one in events], [one.latency.p99_ms for one in steps]),
    }


def _apart(name: str, events: Sequence[float], steps: Sequence[float]) -> dict[str, float]:
    """Return the means, their ratio minus one with its standard error, and the spread over the event engine's seeds."""
    event_mean, step_mean = fmean(events), fmean(steps)
    spreads = [stdev(values) / fmean(values) if len(values) > 1 else 0.0 for values in (events, steps)]
    return {
        f"{name}_events": event_mean,
        f"{name}_steps": step_mean,
        f"{name}_apart": step_mean / event_mean - 1,
        f"{name}_apart_error": step_mean / event_mean * math.hypot(*spreads) / math.sqrt(len(events)),
        f"{name}_seeds_spread": spreads[0],
    }


def queue(servers: int, load: float, *, exponential: bool, requests: int = 400_000) -> dict[str, float]:
    """Return the simulated and the theoretical mean time in the system. Each request takes 10 ms on average, alone."""
    ranker = replace(
        unit("ranker", 1, at_once_ms=10.0, candidate_ms=0.0), max_candidates=1, max_waiting_candidates=10**9
    )
    spec = replace(pipeline(ranker), deadline_ms=1e6)
    rankers = 1
    if servers > 1:
        # The limit on calls in flight is the only reason to wait: there are so many rankers that each is free.
        front = replace(
            unit("ingress", 1, at_once_ms=1e-6, candidate_ms=0.0, calls=servers), max_candidates=1
        )
        spec, rankers = replace(spec, units=(replace(front, max_waiting_candidates=10**9), ranker)), 1000
    draws = _EXPONENTIAL / _EXPONENTIAL.mean() if exponential else np.ones(DRAWS)
    times_s = np.cumsum(np.random.default_rng(7).exponential(0.01 / (servers * load), requests))
    feed = Feed([(times_s, np.ones(requests, np.int32))], 0.0, None)
    engine = EventEngine(spec, feed, 3, dict.fromkeys(spec.keys(), draws))
    counts = [1] if servers == 1 else [1, rankers]
    for number, key in enumerate(key for key, n in zip(spec.keys(), counts, strict=True) for _ in range(n)):
        engine.apply(NodeChange("opened", Replica(number, key)))
    before, means = engine.totals(), []
    for part in range(1, 21):
        engine.advance(float(times_s[-1]) * part / 20)
        passed, before = engine.totals() - before, engine.totals()
        means.append(passed[LATENCY_S] / passed[IN_TIME:LATENCY_S].sum() * 1e3)
    theory_ms = 10.0 + _waits_ms(servers, load) * (1.0 if exponential else 0.5)
    error_ms = float(np.std(means[1:]) / math.sqrt(len(means) - 1))
    mean_ms = float(np.mean(means[1:]))
    return {
        "theory_ms": theory_ms,
        "simulated_ms": mean_ms,
        "standard_error_ms": error_ms,
        "errors_apart": (mean_ms - theory_ms) / error_ms,
    }


def _waits_ms(servers: int, load: float) -> float:
    """Return the mean wait in M/M/c (Erlang C) with 10 ms per service. M/D/1 waits half as long as M/M/1."""
    offered = servers * load
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - load)
    return last / (sum(terms) + last) * 10.0 / (servers * (1 - load))


def measure(seconds: float, seeds: int) -> dict[str, Any]:
    """Measure everything.

    Args:
        seconds: simulated seconds of traffic, to measure the speed.
        seeds: seeds for the engines' comparison.
    """
    speed(one(1), 100, 1000, repeats=1)  # compiles, or loads the compiled code
    speeds = {
        "1 unit, 4 replicas": speed(one(4), 1000, int(1000 * seconds * 10)),
        "1 unit, 64 replicas": speed(one(64), 16_000, int(16_000 * seconds)),
        "2 units, 2 + 4 replicas": speed(split(2, 4), 1000, int(1000 * seconds * 10)),
    }
    days = {kind: day(one(60), kind) for kind in ("target_ongoing", "slo", "predictive")}
    differences = {
        f"{name}, {kind}": agreement(spec, kind, seeds)
        for name, spec in (("1 unit", one(4)), ("2 units", split(1, 4)))
        for kind in ("target_ongoing", "slo")
    }
    queues = {
        **{f"M/M/1 at {load:.0%}": queue(1, load, exponential=True) for load in (0.5, 0.8)},
        **{f"M/D/1 at {load:.0%}": queue(1, load, exponential=False) for load in (0.5, 0.8)},
        "M/M/4 at 80%": queue(4, 0.8, exponential=True),
    }
    return {"speed": speeds, "day": days, "agreement": differences, "queues": queues}


def lines_of(measured: Mapping[str, Any]) -> list[str]:
    """Return the figures as text."""
    lines = ["event engine, one core                    events/s"]
    lines += [
        f"  {name:36s} {s['events_per_s'] / 1e6:6.2f} M at {s['utilisation']:.0%} utilisation"
        for name, s in measured["speed"].items()
    ]
    lines.append(f"step engine, a day of 1e9 requests      seconds (at most {WANTED_DAY_S:g})")
    lines += [
        f"  {name:36s} {d['seconds']:6.2f}    cost {d['cost']:.1f}, misses {d['misses']:.2%}, p99 {d['p99_ms']:.1f} ms"
        for name, d in measured["day"].items()
    ]
    lines.append(
        "stepped against event engine, an hour      cost +- error     p99 +- error   (spread of event engine's seeds)"
    )
    lines += [
        f"  {name:36s} {a['cost_apart']:+8.1%} +- {a['cost_apart_error']:.1%} "
        f"{a['p99_ms_apart']:+8.1%} +- {a['p99_ms_apart_error']:.1%}   "
        f"({a['cost_seeds_spread']:.1%}, {a['p99_ms_seeds_spread']:.1%})"
        for name, a in measured["agreement"].items()
    ]
    lines.append(
        "event engine against theory                mean ms    theory    difference in standard errors"
    )
    lines += [
        f"  {name:36s} {q['simulated_ms']:9.3f} {q['theory_ms']:9.3f} {q['errors_apart']:+7.1f}"
        for name, q in measured["queues"].items()
    ]
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--seconds", type=float, default=100.0, help="simulated seconds when the speed is measured"
    )
    parser.add_argument("--seeds", type=int, default=6, help="number of seeds when the engines are compared")
    options = parser.parse_args(arguments)
    measured = measure(options.seconds, options.seeds)
    sys.stdout.write(
        (json.dumps(measured, indent=1) if options.json else "\n".join(lines_of(measured))) + "\n"
    )


if __name__ == "__main__":
    main()
