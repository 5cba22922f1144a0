"""Rankway against other serving systems and a hand-written application, on the same model, client and cores.

    python benchmarks/peers.py [--peer mosec] [--workload dlrm] [--clients 1,10,32,100] [--quick] [--json]
    python benchmarks/peers.py --search [--peer mosec]

Every side scores the same candidates' features with the same ONNX file, and answers with the same fields. In each round
every side is started, warmed up, measured and stopped, in an order that alternates between the rounds. Each peer has
its own environment, which is made on first use. Its settings are in ``benchmarks/peer_servers/settings.json``, and
``--search`` finds them. A peer that cannot be installed or started is reported with the reason.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import dlrm
from benchmarks.cases.workloads import WORKLOADS
from benchmarks.harness.environments import DEFAULT_FOLDER
from benchmarks.harness.meters.machine import machine
from benchmarks.harness.peer_report import as_json, as_text
from benchmarks.harness.quiet import say
from benchmarks.peer_servers.comparison import Plan, compare
from benchmarks.peer_servers.registry import PEERS, RANKWAY
from benchmarks.peer_servers.search import search
from services.paths import home_directory

_WORKLOADS = ("dlrm", "walks-200")


def parse_counts(text: str) -> tuple[int, ...]:
    """Return the client counts in a text such as 1,10,100.

    Raises:
        argparse.ArgumentTypeError: the text has something else, or a count twice.
    """
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1 or len(set(counts)) < len(counts):
        raise argparse.ArgumentTypeError(
            f"must be different whole numbers from 1, got {text}; write 1,10,32,100"
        )
    return counts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--workload",
        choices=_WORKLOADS,
        action="append",
        help="workload to measure. May be repeated. Default: both. Only the hand-written application serves walks-200",
    )
    parser.add_argument(
        "--peer",
        choices=sorted(PEERS),
        action="append",
        help="peer to compare Rankway with. May be repeated. Default: all",
    )
    parser.add_argument("--clients", type=parse_counts, default=(1, 10, 32, 100), help="default: 1,10,32,100")
    parser.add_argument("--rounds", type=int, default=5, help="rounds with every side. Default: 5")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds per cell. Default: 5")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round with 2 s per cell, as a trial: the figures are not reliable",
    )
    parser.add_argument(
        "--wait", type=float, default=0.0, help="maximum seconds to wait for idle cores before each side"
    )
    parser.add_argument(
        "--environments",
        type=Path,
        default=DEFAULT_FOLDER,
        metavar="DIR",
        help=f"folder of the peers' environments. Default: {DEFAULT_FOLDER}",
    )
    parser.add_argument(
        "--search",
        action="store_true",
        help="try the settings in each peer's grid, and write the best ones to settings.json",
    )
    parser.add_argument("--json", action="store_true")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Return 1 if a side was skipped."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds: must be positive")
    home = home_directory()
    dlrm.build_if_missing(home)
    plan = (
        Plan(options.clients, rounds=1, seconds=2.0, attempts=1)
        if options.quick
        else Plan(options.clients, rounds=options.rounds, seconds=options.seconds, wait_s=options.wait)
    )
    names = options.peer or list(PEERS)
    if options.search:
        return search(names, plan, options.environments)
    results = []
    for workload in options.workload or _WORKLOADS:
        peers = [PEERS[name] for name in names if workload in PEERS[name].workloads]
        if not peers:
            say(f"{workload}: served by none of the peers {', '.join(names)}")
            continue
        try:
            compared = compare(WORKLOADS[workload], peers, plan, options.environments)
        except RuntimeError as error:
            say(f"error: {error}")
            return 1
        results.append(as_json(compared))
        if not options.json:
            sys.stdout.write(as_text(results[-1]) + "\n")
    if options.json:
        json.dump({"machine": machine(), "rankway": RANKWAY, "results": results}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(f"{machine()}\n")
    return 1 if any(result["skipped"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
