"""Tries the settings in a peer's grid, and keeps the best ones.

The best settings have the highest geometric mean of requests per second over the client counts, because an operator has
one configuration for all loads. Settings with a failed request are not considered.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict
from math import exp, log
from pathlib import Path
from statistics import fmean

from benchmarks.cases.workloads import WORKLOADS
from benchmarks.harness.environments import Unavailable
from benchmarks.harness.meters.machine import machine
from benchmarks.harness.quiet import say, wait_for_quiet
from benchmarks.peer_servers.bench import Bench
from benchmarks.peer_servers.comparison import Plan
from benchmarks.peer_servers.options import Settings
from benchmarks.peer_servers.peer import Peer
from benchmarks.peer_servers.registry import PEERS, best_settings, write_settings


def search(names: Sequence[str], plan: Plan, environments: Path) -> int:
    """Search each named peer's settings under the DLRM workload, and write them. Return 1 if one was skipped."""
    skipped = 0
    with Bench(WORKLOADS["dlrm"], environments) as bench:
        for name in names:
            peer = PEERS[name]
            if not peer.grid:
                say(f"{name}: has no grid, because its settings are published ones")
                continue
            try:
                bench.versions(peer)
            except Unavailable as error:
                say(f"{name} is skipped: {error}")
                skipped = 1
                continue
            tried = _try_all(bench, peer, plan)
            if not tried:
                say(f"{name} is skipped: no settings worked")
                skipped = 1
                continue
            tried.sort(key=lambda item: -item[0])
            for score, settings in tried:
                say(f"  {name}: {score:.0f} requests/s (geometric mean): {_varied(peer, settings)}")
            facts = machine()
            write_settings(
                name,
                tried[0][1],
                f"best of {len(tried)} by the geometric mean of requests/s at {', '.join(map(str, plan.clients))} "
                f"clients, {plan.seconds:g} s each, on {facts['cpu']}, {os.cpu_count()} cores",
            )
    return skipped


def score_of(rps: Sequence[float]) -> float:
    """Return the geometric mean, 0 if a value is 0."""
    return exp(fmean(log(value) for value in rps)) if min(rps) > 0 else 0.0


def _try_all(bench: Bench, peer: Peer, plan: Plan) -> list[tuple[float, Settings]]:
    tried: list[tuple[float, Settings]] = []
    grid = peer.candidates(best_settings(peer.name), os.cpu_count() or 1)
    for number, settings in enumerate(grid, 1):
        wait_for_quiet(plan.wait_s)
        try:
            with bench.start(peer, settings) as server:
                bench.warm(peer, server)
                cells = [bench.cell(peer, server, clients, plan.seconds) for clients in plan.clients]
        except (Unavailable, RuntimeError) as error:
            say(
                f"  {peer.name} {number} of {len(grid)}: {_varied(peer, settings)}: failed: {str(error)[-300:]}"
            )
            continue
        rps = [cell.load.rps for cell in cells]
        bad = sum(cell.load.errors + cell.load.requests - cell.load.statuses.get("200", 0) for cell in cells)
        say(
            f"  {peer.name} {number} of {len(grid)}: {_varied(peer, settings)}: "
            f"{', '.join(f'{value:.0f}' for value in rps)} requests/s, failed {bad}"
        )
        if not bad:
            tried.append((score_of(rps), settings))
    return tried


def _varied(peer: Peer, settings: Settings) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in asdict(settings).items() if name in peer.grid)
