"""A serving benchmark's medians, spreads and ratios, as JSON and as text."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.cases.bare_model import BareCell, best
from benchmarks.cases.workloads import Workload
from benchmarks.harness.cells import Cell, Load, model_core_ms

_IN_REPLICA = ("replica", "uvicorn")


@dataclass(slots=True)
class Measured:
    """One run's figures.

    Attributes:
        bare: every way to run the models, measured once.
        alike: the bare model with the service's runtime, as one process per core with one thread, for all batch sizes,
            once per repeat.
        bare_rps: requests per second of the fastest way to run the models, once per repeat.
        peak_rps: the service's closed-loop peak in the first repeat.
        health: the health documents of service and control.
        cells: cells by server ("service", "control") and load, one per repeat.
    """

    workload: Workload
    bare: list[BareCell]
    alike: list[BareCell] = field(default_factory=list)
    bare_rps: list[float] = field(default_factory=list)
    peak_rps: float = 0.0
    health: dict[str, dict[str, Any]] = field(default_factory=dict)
    cells: dict[tuple[str, Load], list[Cell]] = field(default_factory=dict)

    def add(self, side: str, load: Load, cell: Cell) -> None:
        """Add a cell."""
        self.cells.setdefault((side, load), []).append(cell)


def as_json(measured: Measured, *, cores: int) -> dict[str, Any]:
    """Return the run's figures as plain data."""
    fastest = best(measured.bare)
    bare_rps = median(measured.bare_rps or [fastest.rps])
    alike = _median_by_size(measured.alike)
    rows = []
    for (side, load), cells in measured.cells.items():
        row = _row(side, load, cells, alike, measured.workload.requests_a_call)
        row["ratio_to_bare"] = row["rps"] / bare_rps
        control_cells = measured.cells.get(("control", load))
        if side == "service" and control_cells:
            row["ratio_to_control"] = row["rps"] / median(cell.load.rps for cell in control_cells)
        rows.append(row)
    return {
        "workload": measured.workload.name,
        "candidates": measured.workload.candidates,
        "cores": cores,
        "repeats": len(measured.bare_rps),
        "fast_path": bool(measured.health.get("service", {}).get("fast_path")),
        "bare": {"fastest": asdict(fastest), "rps": bare_rps, "cells": [asdict(c) for c in measured.bare]},
        "model_time": "bare model, one thread per core on all cores, in each repeat, at the sizes of the model's calls",
        "model_core_ms_by_batch": {cell.requests_a_batch: cell.core_ms_a_request for cell in alike},
        "rows": rows,
    }


def as_text(result: dict[str, Any]) -> str:
    """Return the figures as tables."""
    fastest = result["bare"]["fastest"]
    lines = [
        f"{result['workload']}: {result['candidates']} candidates, {result['cores']} cores, "
        f"{result['repeats']} repeats, fast path {'on' if result['fast_path'] else 'OFF'}",
        f"bare: {result['bare']['rps']:.0f} requests/s ({fastest['runtime']}, {fastest['processes']} processes x "
        f"{fastest['threads']} threads, {fastest['requests_a_batch']} requests per batch)",
        f"{'side':8} {'load':9} {'req/s':>7} {'spread':>6} {'p50':>7} {'p99':>8} {'p999':>8}  {'/bare':>6} "
        f"{'/control':>8} {'batch':>5} {'core-ms':>7} {'model':>6} {'outside':>7}  bad",
    ]
    for row in result["rows"]:
        ratio = row.get("ratio_to_control")
        lines.append(
            f"{row['side']:8} {row['load']:9} {row['rps']:7.0f} {row['spread']:6.0%} {row['p50_ms']:7.2f} "
            f"{row['p99_ms']:8.2f} {row['p999_ms']:8.2f}  {row['ratio_to_bare']:6.0%} "
            f"{f'{ratio:.0%}' if ratio is not None else '':>8} {row['requests_a_batch']:5.1f} "
            f"{row['core_ms']:7.3f} {row['model_core_ms']:6.3f} {row['outside_core_ms']:7.3f}  "
            f"{row['errors'] + row['missed'] + row['not_200']}"
        )
    lines.append(f"core-ms per request outside the model, by process (model time: {result['model_time']})")
    for row in result["rows"]:
        parts = ", ".join(f"{role} {ms:.3f}" for role, ms in row["outside_by_role"].items() if ms >= 0.0005)
        lines.append(
            f"{row['side']:8} {row['load']:9} {parts}; client, not included, {row['client_core_ms']:.3f}"
        )
    return "\n".join(lines)


def growth(results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return how CPU per request grows from 200 to 1,000 walks candidates, as a ratio for each closed loop."""
    by_name = {result["workload"]: result for result in results}
    if not {"walks-200", "walks-1000"} <= by_name.keys():
        return {}
    cost = {
        name: {row["load"]: row["core_ms"] for row in by_name[name]["rows"] if row["side"] == "service"}
        for name in ("walks-200", "walks-1000")
    }
    return {
        f"core-ms of 1,000 candidates over 200, {load}": cost["walks-1000"][load] / spent_ms
        for load, spent_ms in cost["walks-200"].items()
        if load.startswith("c")
    }


def _median_by_size(cells: Sequence[BareCell]) -> list[BareCell]:
    """Return one cell per batch size, the one with the median CPU per request."""
    sizes = sorted({cell.requests_a_batch for cell in cells})
    by_size = [[cell for cell in cells if cell.requests_a_batch == size] for size in sizes]
    return [
        sorted(same_size, key=lambda cell: cell.core_ms_a_request)[len(same_size) // 2]
        for same_size in by_size
    ]


def _row(
    side: str, load: Load, cells: Sequence[Cell], alike: Sequence[BareCell], requests_a_call: float
) -> dict[str, Any]:
    rps = [cell.load.rps for cell in cells]
    model_ms = median(model_core_ms(cell.batches, alike, requests_a_call) for cell in cells)
    roles = sorted({role for cell in cells for role in cell.core_ms})
    by_role = {role: median(cell.core_ms.get(role, 0.0) for cell in cells) for role in roles}
    outside = {
        role: spent_ms - model_ms if role in _IN_REPLICA else spent_ms for role, spent_ms in by_role.items()
    }
    stages = sorted({stage for cell in cells for stage in cell.batches.stage_ms})
    return {
        "side": side,
        "load": load.label,
        "rps": median(rps),
        "spread": (max(rps) - min(rps)) / median(rps) if median(rps) else math.nan,
        "rps_each": rps,
        "offered_rps": cells[0].load.offered_rps,
        "p50_ms": median(cell.load.p50_ms for cell in cells),
        "p99_ms": median(cell.load.p99_ms for cell in cells),
        "p999_ms": median(cell.load.p999_ms for cell in cells),
        "statuses": [cell.load.statuses for cell in cells],
        "errors": sum(cell.load.errors for cell in cells),
        "missed": sum(cell.load.missed for cell in cells),
        "not_200": sum(n for cell in cells for status, n in cell.load.statuses.items() if status != "200"),
        "degraded": sum(cell.batches.degraded for cell in cells),
        "send_lag_p99_ms": median(cell.load.send_lag_p99_ms for cell in cells),
        "requests_a_batch": median(cell.batches.mean_requests for cell in cells),
        "queue_ms": median(cell.batches.queue_ms for cell in cells),
        "stage_ms_a_batch": {
            stage: median(cell.batches.stage_ms.get(stage, 0.0) for cell in cells) for stage in stages
        },
        "core_ms": sum(by_role.values()),
        "core_ms_by_role": by_role,
        "model_core_ms": model_ms,
        "outside_core_ms": sum(outside.values()),
        "outside_by_role": dict(sorted(outside.items(), key=lambda item: -item[1])),
        "client": cells[0].load.client,
        "client_core_ms": median(cell.load.client_core_ms for cell in cells),
        "foreign_cores": [round(cell.foreign_cores, 3) for cell in cells],
    }
