"""A comparison's medians, intervals, ratios and goals, as JSON and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from benchmarks.harness.cells import Cell

Place = Literal["ahead", "behind", "overlap"]
_AT_LEAST = {"handwritten-haproxy": 0.90, "handwritten": 0.75}
_RATIO_CLIENTS = (10, 32, 100)
_P50_DISTANCE_MS = 0.5


@dataclass(slots=True)
class Compared:
    """One workload's run.

    Attributes:
        ours: the side that is compared with all others.
        cells: cells by side and clients, one per round.
        about: a description, by side.
        settings: the settings, by side.
        versions: versions by package, by side.
        answer_bytes: an answer's mean size, by side.
        skipped: the reason, by side that could not be measured.
    """

    workload: str
    ours: str
    cells: dict[tuple[str, int], list[Cell]] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    answer_bytes: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, side: str, clients: int, cell: Cell) -> None:
        """Add a cell."""
        self.cells.setdefault((side, clients), []).append(cell)


def place_of(own: Sequence[float], other: Sequence[float]) -> Place:
    """Return whether all of our values are above all others, all below, or the intervals overlap."""
    if min(own) > max(other):
        return "ahead"
    return "behind" if max(own) < min(other) else "overlap"


def ratio_of(own: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of the rounds' ratios. Both sides of a ratio were measured close in time."""
    return median(mine / theirs if theirs else float("inf") for mine, theirs in zip(own, other, strict=False))


def as_json(compared: Compared) -> dict[str, Any]:
    """Return the run's figures as plain data."""
    rows = [_row(compared, side, clients, cells) for (side, clients), cells in compared.cells.items()]
    return {
        "workload": compared.workload,
        "sides": {
            side: {
                "about": about,
                "settings": dict(compared.settings.get(side, {})),
                "versions": dict(compared.versions.get(side, {})),
                "answer_bytes": compared.answer_bytes.get(side),
            }
            for side, about in compared.about.items()
        },
        "skipped": compared.skipped,
        "rows": rows,
        "goals": goals(rows, compared.ours),
    }


def goals(rows: Sequence[Mapping[str, Any]], ours: str) -> list[dict[str, Any]]:
    """Return each goal with the measured value, and whether it is met."""
    own = {row["clients"]: row for row in rows if row["side"] == ours}
    found = []
    for row in rows:
        side, clients = row["side"], row["clients"]
        if side == ours or clients not in own:
            continue
        if side not in _AT_LEAST:
            counted = "1 client" if clients == 1 else f"{clients} clients"
            goal = f"more requests/s than {side} at {counted}, in every round"
            found.append(_goal(goal, row["ours_over_it"], row["ours"] == "ahead"))
            continue
        if clients in _RATIO_CLIENTS:
            goal = f"at least {_AT_LEAST[side]:.0%} of the requests/s of {side} at {clients} clients"
            found.append(_goal(goal, row["ours_over_it"], row["ours_over_it"] >= _AT_LEAST[side]))
        if clients == 1 and side == "handwritten":
            apart_ms = own[1]["p50_ms"] - row["p50_ms"]
            goal = f"p50 at 1 client at most {_P50_DISTANCE_MS} ms above {side}"
            found.append(_goal(goal, apart_ms, apart_ms <= _P50_DISTANCE_MS))
    return found


def as_text(result: Mapping[str, Any]) -> str:
    """Return the figures as tables."""
    lines = [f"{result['workload']}:"]
    for side, facts in result["sides"].items():
        versions = " ".join(f"{name} {version}" for name, version in facts["versions"].items())
        settings = ", ".join(f"{name} {value:g}" for name, value in facts["settings"].items())
        size = f"{facts['answer_bytes']} bytes per answer" if facts["answer_bytes"] else "not measured"
        lines.append(f"  {side:20} {facts['about']}. {settings or 'settings of its configuration'}; {size}")
        lines.append(f"  {'':20} {versions}")
    lines += [f"  {side:20} SKIPPED: {reason}" for side, reason in result["skipped"].items()]
    lines.append(
        f"{'side':20} {'clients':>7} {'req/s':>7} {'lowest':>7} {'highest':>7} {'p50 ms':>8} {'p99 ms':>8} "
        f"{'core-ms':>7} {'batch':>6} {'ours/it':>8} {'ours is':>8} bad"
    )
    for row in sorted(result["rows"], key=lambda row: (row["clients"], -row["rps"])):
        ratio, place = row.get("ours_over_it"), row.get("ours", "")
        lines.append(
            f"{row['side']:20} {row['clients']:7} {row['rps']:7.0f} {row['rps_interval'][0]:7.0f} "
            f"{row['rps_interval'][1]:7.0f} {row['p50_ms']:8.2f} {row['p99_ms']:8.2f} {row['core_ms']:7.3f} "
            f"{row['requests_a_batch']:6.1f} {'' if ratio is None else f'{ratio:.2f}':>8} {place:>8} {row['bad']}"
        )
    lines.append("interval: lowest and highest round. ours/it: median of the rounds' ratios of requests/s")
    for goal in result["goals"]:
        lines.append(f"{'met' if goal['met'] else 'NOT MET':7}  {goal['goal']}: {goal['measured']:.2f}")
    return "\n".join(lines)


def _goal(goal: str, measured: float, met: bool) -> dict[str, Any]:
    return {"goal": goal, "measured": measured, "met": met}


def _row(compared: Compared, side: str, clients: int, cells: Sequence[Cell]) -> dict[str, Any]:
    rps = [cell.load.rps for cell in cells]
    roles = sorted({role for cell in cells for role in cell.core_ms})
    by_role = {role: median(cell.core_ms.get(role, 0.0) for cell in cells) for role in roles}
    row = {
        "side": side,
        "clients": clients,
        "rps": median(rps),
        "rps_interval": [min(rps), max(rps)],
        "rps_each": rps,
        "p50_ms": median(cell.load.p50_ms for cell in cells),
        "p50_each": [cell.load.p50_ms for cell in cells],
        "p99_ms": median(cell.load.p99_ms for cell in cells),
        "p99_each": [cell.load.p99_ms for cell in cells],
        "core_ms": median(sum(cell.core_ms.values()) for cell in cells),
        "core_ms_by_role": dict(sorted(by_role.items(), key=lambda item: -item[1])),
        "client_core_ms": median(cell.load.client_core_ms for cell in cells),
        "requests_a_batch": median(cell.batches.mean_requests for cell in cells),
        "bad": sum(
            cell.load.errors + sum(n for status, n in cell.load.statuses.items() if status != "200")
            for cell in cells
        ),
        "foreign_cores": [round(cell.foreign_cores, 3) for cell in cells],
    }
    own = compared.cells.get((compared.ours, clients))
    if own and side != compared.ours:
        own_rps = [cell.load.rps for cell in own]
        row["ours_over_it"] = ratio_of(own_rps, rps)
        row["ours"] = place_of(own_rps, rps)
    return row
