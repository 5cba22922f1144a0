"""Our policies against Serve's own, both tuned by the same budget, judged on a day that neither was tuned on.

The pipeline is configs/cluster.yaml with its CPU pool alone: Serve's policy knows nothing of several pools. What is
compared are finalists of two searches with as many trials: what each costs where it misses as little, and what it
misses where it costs as much. All of it is simulated, by the engine that takes days in seconds.

    python benchmarks/autoscale_claim.py [--trials 200] [--p99-ms 60] [--journals FOLDER] [--json]
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from autoscale.config import AutoscalingConfig
from autoscale.report import miss_share
from autoscale.simulator.results import Simulation
from autoscale.spec import PipelineSpec
from autoscale.study import TuneOptions
from autoscale.trace_files import open_trace
from autoscale.traces import BinnedTrace
from autoscale.trials import simulated
from autoscale.tuner import tune
from services.config import load_config
from services.home import home_directory
from services.lowering import lowered, profiles_of

ROOT = Path(__file__).resolve().parent.parent
OURS = ("slo", "predictive", "coupled")
SERVES = ("target_ongoing",)
ALLOWED = (0.0001, 0.001, 0.01)
Judged = list[tuple[AutoscalingConfig, Simulation]]


def pipeline() -> PipelineSpec:
    """Give the cluster with its CPU pool alone."""
    config = load_config(ROOT / "configs" / "cluster.yaml")
    spec = lowered(config.model_copy(update={"autoscaling": None}), profiles_of(config, home_directory()))
    units = []
    for unit in spec.units:
        placed = replace(unit.in_pool("cpu"), initial_replicas=60)
        units.append(replace(unit, placed=(placed,)))
    return replace(spec, units=tuple(units), pools={"cpu": spec.pools["cpu"]})


def searched(
    spec: PipelineSpec, kinds: tuple[str, ...], p99_ms: float, options: TuneOptions, folder: Path
) -> tuple[Judged, float]:
    """Tune on one day; give the front's simulations of the other, and how long the search took."""
    base = AutoscalingConfig.model_validate({"p99_ms": p99_ms, "policy": {"kind": "target_ongoing"}})
    day, other = (open_trace(ROOT / f"configs/traces/billion-{which}.csv") for which in ("day", "other-day"))
    console, started_s = Console(stderr=True), time.monotonic()
    with console.status("tuning") as status:
        tuned = tune(
            spec,
            base,
            day,
            options.model_copy(update={"kinds": kinds}),
            folder / f"{kinds[0]}.journal",
            lambda rung, done, total: status.update(f"{', '.join(kinds)}: {rung} {done}/{total}"),
        )
        taken_s = time.monotonic() - started_s
        counts = BinnedTrace(other.name, other.bins(options.step_s))
        judged = [
            (one.config, simulated(spec, one.config, counts, None, options.seed + 1)) for one in tuned.front
        ]
    return judged, taken_s


def cheapest(judged: Judged, allowed: float) -> Simulation | None:
    """Give the cheapest that misses no more than that."""
    within = [simulation for _, simulation in judged if miss_share(simulation) <= allowed]
    return min(within, key=lambda simulation: simulation.cost, default=None)


def least(judged: Judged, cost: float) -> Simulation | None:
    """Give what misses least and costs no more than that."""
    within = [simulation for _, simulation in judged if simulation.cost <= cost]
    return min(within, key=miss_share, default=None)


def compared(ours: Judged, serves: Judged) -> dict[str, Any]:
    """Set cost at equal violations and violations at equal cost side by side."""
    at_violations = []
    for allowed in ALLOWED:
        one, other = cheapest(ours, allowed), cheapest(serves, allowed)
        costs = (None if one is None else one.cost, None if other is None else other.cost)
        saved = None if one is None or other is None else 1 - one.cost / other.cost
        at_violations.append({"allowed": allowed, "ours": costs[0], "serves": costs[1], "saved": saved})
    at_cost = []
    for _, simulation in serves:
        found = least(ours, simulation.cost)
        misses = None if found is None else miss_share(found)
        at_cost.append({"cost": simulation.cost, "ours": misses, "serves": miss_share(simulation)})
    return {"cost_at_equal_violations": at_violations, "violations_at_equal_cost": at_cost}


def main() -> None:
    """Tune both, judge both, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200, help="of each search")
    parser.add_argument("--middle", type=int, default=20)
    parser.add_argument("--finalists", type=int, default=6)
    parser.add_argument("--short-s", type=float, default=1800.0, help="of the day, for all trials")
    parser.add_argument("--middle-s", type=float, default=7200.0, help="of the day, for the middle")
    parser.add_argument("--journals", type=Path, help="a folder: cut off, the same call goes on from it")
    parser.add_argument("--p99-ms", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    options = TuneOptions(
        kinds=SERVES,
        trials=given.trials,
        middle=given.middle,
        finalists=given.finalists,
        short_s=given.short_s,
        middle_s=given.middle_s,
        step_s=60.0,
        workers=given.workers,
    )
    spec = pipeline()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.journals or Path(temporary)
        serves, serves_s = searched(spec, SERVES, given.p99_ms, options, folder)
        ours, ours_s = searched(spec, OURS, given.p99_ms, options, folder)
    result = {
        "p99_ms": given.p99_ms,
        "trials": given.trials,
        "tuning_s": {"ours": ours_s, "serves": serves_s},
        "fronts": {
            name: [_shown(*one) for one in judged] for name, judged in (("ours", ours), ("serves", serves))
        },
        **compared(ours, serves),
    }
    if given.json:
        print(json.dumps(result, indent=2))
        return
    _tables(result)


def _shown(config: AutoscalingConfig, simulation: Simulation) -> dict[str, Any]:
    return {
        "policy": config.model_dump(mode="json")["policy"],
        "cost": simulation.cost,
        "misses": miss_share(simulation),
        "p99_ms": simulation.latency.p99_ms,
        "violated_s": simulation.violated_s,
    }


def _tables(result: dict[str, Any]) -> None:
    console = Console()
    fronts = Table(
        "policy", "cost of the day", "missed", "p99, ms", "in violation, s", title="Fronts, judged"
    )
    for row in (row for rows in result["fronts"].values() for row in rows):
        took = (f"{row['p99_ms']:.0f}", f"{row['violated_s']:.0f}")
        fronts.add_row(row["policy"]["kind"], f"{row['cost']:,.1f}", f"{row['misses']:.4%}", *took)
    equal = Table("missed at most", "ours costs", "Serve's costs", "saved", title="Cost at equal violations")
    for row in result["cost_at_equal_violations"]:
        costs = (_number(row["ours"], ",.1f"), _number(row["serves"], ",.1f"))
        equal.add_row(f"{row['allowed']:.2%}", *costs, _number(row["saved"], ".1%"))
    misses = Table("costs at most", "ours misses", "Serve's misses", title="Violations at equal cost")
    for row in result["violations_at_equal_cost"]:
        shares = (_number(row["ours"], ".4%"), _number(row["serves"], ".4%"))
        misses.add_row(f"{row['cost']:,.1f}", *shares)
    for table in (fronts, equal, misses):
        console.print(table)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    main()
