"""Our policies against Serve's own: both tuned with the same budget, and judged on a day that neither was tuned on.

The pipeline is configs/cluster.yaml with its CPU pool alone, since Serve's policy does not know several pools. Two
searches with the same number of trials, one for our policies and one for Serve's, use the step engine. The event engine
then judges the configurations on both Pareto fronts, request by request, with several seeds. The report compares the
costs at equal misses, and the misses at equal cost. The traffic is below 10^9 requests per day. The nodes are smaller
in proportion, at the same price per core.

    python benchmarks/autoscaling/claim.py [--trials 200] [--requests-per-day 5e7] [--seeds 2] [--json]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from autoscale.config import AutoscalingConfig
from autoscale.reports.html import miss_share
from autoscale.spec import PipelineSpec
from autoscale.traces.files import open_trace
from autoscale.traces.trace import BinnedTrace
from autoscale.tuner.fronts import JudgedConfig
from autoscale.tuner.study import TuneOptions
from autoscale.tuner.trials import simulated, workers
from autoscale.tuner.tuner import Tuned, tune
from services.autoscaling.spec import lowered, profiles_of
from services.config.loading import load_config
from services.paths import home_directory

ROOT = Path(__file__).resolve().parents[2]
OURS = ("slo", "predictive", "coupled")
SERVES = ("target_ongoing",)
ALLOWED = (0.0001, 0.001, 0.01)
_FULL_PER_DAY = 1e9


@dataclass(frozen=True, slots=True)
class Judged:
    """A configuration's figures on a day on which it was not tuned, one per seed.

    Attributes:
        chosen: whether the search chose this configuration from its front.
        costs: the day's cost.
        misses: share of missed requests.
        violated_s: seconds in which the objective was violated.
    """

    config: AutoscalingConfig
    chosen: bool
    costs: tuple[float, ...]
    misses: tuple[float, ...]
    p99_ms: tuple[float, ...]
    violated_s: tuple[float, ...]

    @property
    def cost(self) -> float:
        """The mean cost over seeds."""
        return fmean(self.costs)

    @property
    def missed(self) -> float:
        """The mean share of missed requests over seeds."""
        return fmean(self.misses)


def pipeline(per_day: float = _FULL_PER_DAY) -> PipelineSpec:
    """Return the cluster with its CPU pool alone. Nodes are scaled down with the traffic, to two cores at least."""
    config = load_config(ROOT / "configs" / "cluster.yaml")
    spec = lowered(config.model_copy(update={"autoscaling": None}), profiles_of(config, home_directory()))
    units = []
    for unit in spec.units:
        placed = replace(unit.in_pool("cpu"), initial_replicas=60)
        units.append(replace(unit, placed=(placed,)))
    full = spec.pools["cpu"]
    cores = max(2.0, round(full.cpus * min(1.0, per_day / _FULL_PER_DAY)))
    pool = full.model_copy(
        update={
            "cpus": cores,
            "memory_gib": full.memory_gib * cores / full.cpus,
            "price_per_hour": full.price_per_hour * cores / full.cpus,
        }
    )
    return replace(spec, units=tuple(units), pools={"cpu": pool})


def day(which: str, per_day: float, step_s: float) -> BinnedTrace:
    """Return one day, scaled to `per_day` requests."""
    trace = open_trace(ROOT / f"configs/traces/billion-{which}.csv")
    counts = trace.bins(step_s)
    return BinnedTrace(trace.name, counts).scaled(per_day / float(counts.requests.sum()))


def searched(
    spec: PipelineSpec,
    trace: BinnedTrace,
    kinds: tuple[str, ...],
    p99_ms: float,
    options: TuneOptions,
    folder: Path,
) -> tuple[Tuned, float]:
    """Tune policies of these kinds on a day. Return the result, and the seconds that the search took."""
    base = AutoscalingConfig.model_validate({"p99_ms": p99_ms, "policy": {"kind": "target_ongoing"}})
    console, started_s = Console(stderr=True), time.monotonic()
    with console.status("tuning") as status:
        tuned = tune(
            spec,
            base,
            trace,
            options.model_copy(update={"kinds": kinds}),
            folder / f"{kinds[0]}.journal",
            lambda rung, done, total: status.update(f"{', '.join(kinds)}: {rung} {done}/{total}"),
        )
    return tuned, time.monotonic() - started_s


def judge(
    spec: PipelineSpec, trace: BinnedTrace, job: tuple[AutoscalingConfig, int]
) -> tuple[float, float, float, float]:
    """Simulate every request of a day. Return cost, missed share, p99 in ms and seconds in violation."""
    config, seed = job
    simulation = simulated(spec, config, trace, None, seed, engine="events")
    return simulation.cost, miss_share(simulation), simulation.latency.p99_ms, simulation.violated_s


def judged(
    spec: PipelineSpec, trace: BinnedTrace, fronts: Sequence[Tuned], seeds: int, processes: int, limit: int
) -> list[list[Judged]]:
    """Judge at most ``limit`` configurations from each front, including the one that its search chose."""
    selected_fronts = [select_points(tuned, limit) for tuned in fronts]
    jobs = [(one.config, seed) for front in selected_fronts for one in front for seed in range(1, seeds + 1)]
    task = partial(judge, spec, trace)
    with workers(spec, task, processes) as simulate, Console(stderr=True).status("judging") as status:
        results = []
        for result in simulate(jobs):
            results.append(result)
            status.update(f"judging, request by request: {len(results)}/{len(jobs)}")
    remaining = iter(results)
    judged_fronts = []
    for tuned, front in zip(fronts, selected_fronts, strict=True):
        rows = [(one, zip(*(next(remaining) for _ in range(seeds)), strict=True)) for one in front]
        judged_fronts.append([Judged(one.config, one == tuned.chosen, *columns) for one, columns in rows])
    return judged_fronts


def select_points(tuned: Tuned, limit: int) -> list[JudgedConfig]:
    """Return at most ``limit`` configurations from a front, the cheapest first.

    Configurations are dropped from the front's middle. The one that the search chose always stays.
    """
    front = list(tuned.front)
    if tuned.chosen not in front:
        front.append(tuned.chosen)
    while len(front) > limit:
        front.remove(next(one for one in front[len(front) // 2 :] + front if one != tuned.chosen))
    return front


def cheapest(front: Sequence[Judged], allowed: float) -> Judged | None:
    """Return the cheapest configuration whose share of missed requests is at most `allowed`, or None."""
    return min((one for one in front if one.missed <= allowed), key=lambda one: one.cost, default=None)


def least(front: Sequence[Judged], cost: float) -> Judged | None:
    """Return the configuration with the fewest misses among those that cost at most `cost`, or None."""
    return min((one for one in front if one.cost <= cost), key=lambda one: one.missed, default=None)


def compared(ours: Sequence[Judged], serves: Sequence[Judged]) -> dict[str, Any]:
    """Return our and Serve's costs at equal shares of missed requests, and both shares at equal cost."""
    at_violations = []
    for allowed in ALLOWED:
        one, other = cheapest(ours, allowed), cheapest(serves, allowed)
        saved = None if one is None or other is None else 1 - one.cost / other.cost
        costs = (None if one is None else one.cost, None if other is None else other.cost)
        at_violations.append({"allowed": allowed, "ours": costs[0], "serves": costs[1], "saved": saved})
    at_cost = []
    for other in serves:
        match = least(ours, other.cost)
        missed = None if match is None else match.missed
        at_cost.append({"cost": other.cost, "ours": missed, "serves": other.missed})
    return {"cost_at_equal_violations": at_violations, "violations_at_equal_cost": at_cost}


def main() -> None:
    """Tune and judge our policies and Serve's, and print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200, help="trials in each search")
    parser.add_argument("--middle", type=int, default=20)
    parser.add_argument("--finalists", type=int, default=6)
    parser.add_argument(
        "--short-s", type=float, default=1800.0, help="seconds of the day that every trial simulates"
    )
    parser.add_argument(
        "--middle-s", type=float, default=7200.0, help="seconds of the day that the middle round simulates"
    )
    parser.add_argument(
        "--journals", type=Path, help="folder for the journals, to resume an interrupted call"
    )
    parser.add_argument("--p99-ms", type=float, default=60.0)
    parser.add_argument("--requests-per-day", type=float, default=5e7)
    parser.add_argument(
        "--judged", type=int, default=3, help="maximum number of configurations to judge on each front"
    )
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds for the event engine")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    options = TuneOptions(
        kinds=SERVES,
        max_misses=0.001,
        trials=arguments.trials,
        middle=arguments.middle,
        finalists=arguments.finalists,
        short_s=arguments.short_s,
        middle_s=arguments.middle_s,
        step_s=60.0,
        workers=arguments.workers,
    )
    spec = pipeline(arguments.requests_per_day)
    tuned_on, other = (day(which, arguments.requests_per_day, 60.0) for which in ("day", "other-day"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.journals or Path(temporary)
        serves, serves_s = searched(spec, tuned_on, SERVES, arguments.p99_ms, options, folder)
        ours, ours_s = searched(spec, tuned_on, OURS, arguments.p99_ms, options, folder)
    started_s = time.monotonic()
    fronts = judged(spec, other, (ours, serves), arguments.seeds, arguments.workers, arguments.judged)
    result = {
        "p99_ms": arguments.p99_ms,
        "requests_per_day": arguments.requests_per_day,
        "trials": arguments.trials,
        "seconds": {"ours": ours_s, "serves": serves_s, "judging": time.monotonic() - started_s},
        "fronts": {
            name: [_shown(one) for one in front]
            for name, front in zip(("ours", "serves"), fronts, strict=True)
        },
        **compared(*fronts),
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    _tables(result)


def _shown(one: Judged) -> dict[str, Any]:
    return {
        "autoscaling": one.config.model_dump(mode="json", exclude_defaults=True),
        "chosen": one.chosen,
        "cost": one.cost,
        "costs": one.costs,
        "missed": one.missed,
        "misses": one.misses,
        "p99_ms": one.p99_ms,
        "violated_s": one.violated_s,
    }


def _tables(result: dict[str, Any]) -> None:
    console = Console()
    fronts = Table(
        "policy",
        "",
        "cost of the day",
        "missed",
        "p99, ms",
        "in violation, s",
        title="Judged fronts: mean (each seed)",
    )
    for row in (row for rows in result["fronts"].values() for row in rows):
        fronts.add_row(
            row["autoscaling"]["policy"]["kind"],
            "chosen" if row["chosen"] else "",
            f"{row['cost']:,.2f} ({_each(row['costs'], ',.2f')})",
            f"{row['missed']:.4%} ({_each(row['misses'], '.4%')})",
            _each(row["p99_ms"], ".0f"),
            _each(row["violated_s"], ".0f"),
        )
    equal = Table("missed at most", "ours costs", "Serve's costs", "saved", title="Cost at equal violations")
    for row in result["cost_at_equal_violations"]:
        costs = (_number(row["ours"], ",.2f"), _number(row["serves"], ",.2f"))
        equal.add_row(f"{row['allowed']:.2%}", *costs, _number(row["saved"], ".1%"))
    misses = Table("costs at most", "ours misses", "Serve's misses", title="Violations at equal cost")
    for row in result["violations_at_equal_cost"]:
        shares = (_number(row["ours"], ".4%"), _number(row["serves"], ".4%"))
        misses.add_row(f"{row['cost']:,.2f}", *shares)
    for table in (fronts, equal, misses):
        console.print(table)


def _each(values: Sequence[float], form: str) -> str:
    return ", ".join(format(value, form) for value in values)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    main()
