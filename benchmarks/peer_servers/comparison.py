"""Measures Rankway and its peers in rounds."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.cases.workloads import Workload
from benchmarks.harness.cells import Cell
from benchmarks.harness.environments import Unavailable
from benchmarks.harness.peer_report import Compared
from benchmarks.harness.quiet import measure_quietly, say, wait_for_quiet
from benchmarks.peer_servers.bench import RANKWAY_SIDE, Bench
from benchmarks.peer_servers.options import Settings
from benchmarks.peer_servers.peer import Peer
from benchmarks.peer_servers.registry import RANKWAY, best_settings

_STARTS = 3
# The server did not start, refused a connection, or sent an answer that cannot be read.
_FAULTS = (RuntimeError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        clients: the closed loops' client counts.
        rounds: how often each side is measured.
        seconds: length of a cell's window.
        wait_s: maximum wait before each side until other processes leave the cores idle.
        attempts: maximum windows for a cell if other processes disturb it.
    """

    clients: tuple[int, ...]
    rounds: int = 5
    seconds: float = 5.0
    wait_s: float = 0.0
    attempts: int = 3


def compare(workload: Workload, peers: Sequence[Peer], plan: Plan, environments: Path) -> Compared:
    """Measure Rankway and ``peers`` under one workload.

    Raises:
        RuntimeError: data or models are missing, or Rankway did not start.
    """
    compared = Compared(workload.name, RANKWAY)
    with Bench(workload, environments) as bench:
        sides = [RANKWAY_SIDE]
        compared.about[RANKWAY] = RANKWAY_SIDE.about
        compared.versions[RANKWAY] = bench.versions(RANKWAY_SIDE)
        for peer in peers:
            say(f"{workload.name}: {peer.name}: environment")
            compared.about[peer.name] = peer.about
            compared.settings[peer.name] = asdict(best_settings(peer.name))
            try:
                compared.versions[peer.name] = bench.versions(peer)
            except Unavailable as error:
                compared.skipped[peer.name] = str(error)
                say(f"{workload.name}: {peer.name} is skipped: {error}")
            else:
                sides.append(peer)
        for number in range(plan.rounds):
            for side in list(sides) if number % 2 == 0 else list(reversed(sides)):
                say(f"{workload.name}: round {number + 1} of {plan.rounds}: {side.name}")
                wait_for_quiet(plan.wait_s)
                try:
                    cells = _measured(bench, side, plan, compared)
                except (Unavailable, *_FAULTS) as error:
                    if side is RANKWAY_SIDE:
                        raise RuntimeError(f"rankway: {error}") from error
                    compared.skipped[side.name] = f"round {number + 1}: {error}"
                    say(f"{workload.name}: {side.name} is skipped: {error}")
                    sides.remove(side)
                    continue
                for clients, cell in cells.items():
                    compared.add(side.name, clients, cell)
    return compared


def _measured(bench: Bench, side: Peer, plan: Plan, compared: Compared) -> dict[int, Cell]:
    """Measure a side once. A failed start is repeated, because some frameworks' own time limits fail at times."""
    for attempt in range(_STARTS):
        try:
            return _measure_side(bench, side, plan, compared)
        except _FAULTS as error:
            if attempt + 1 == _STARTS:
                raise
            say(f"  {side.name} is started again, because {str(error)[-300:]}")
    raise AssertionError("unreachable")


def _measure_side(bench: Bench, side: Peer, plan: Plan, compared: Compared) -> dict[int, Cell]:
    settings = Settings() if side is RANKWAY_SIDE else best_settings(side.name)
    cells = {}
    with bench.start(side, settings) as server:
        compared.answer_bytes[side.name] = bench.warm(side, server)
        for clients in plan.clients:
            measure: Callable[[], Cell] = partial(bench.cell, side, server, clients, plan.seconds)
            cells[clients] = measure_quietly(measure, plan.attempts, plan.seconds / 2)
            say(f"  {side.name} c{clients}: {cell_text(cells[clients])}")
    return cells


def cell_text(cell: Cell) -> str:
    """Return a cell's figures in one line."""
    result = cell.load
    return (
        f"{result.rps:.0f} requests/s, p50 {result.p50_ms:.2f} ms, p99 {result.p99_ms:.2f} ms, "
        f"{sum(cell.core_ms.values()):.3f} core-ms, {cell.batches.mean_requests:.1f} per batch, "
        f"statuses {result.statuses}, errors {result.errors}, others' cores {cell.foreign_cores:.2f}"
    )
