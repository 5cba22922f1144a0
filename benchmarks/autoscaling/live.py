"""The simulator's predictions compared with a real local Ray.

    python -m benchmarks.autoscaling.live [--quick] [--json] [control|profile|accuracy]

- Control: in a live service, a policy scales units that wait instead of computing. The simulator runs the same policy
  on the same arrivals. Replica-seconds and each step up's time are compared.
- Accuracy: the DLRM in configs/dlrm.yaml runs at fixed replica counts and loads. The simulator predicts its p99 from
  the profile.

The goals are errors of at most 10% in replica-seconds, 2 s in each step's time, and 20% in p99. Missing inputs are made
first: the DLRM (python -m benchmarks.cases.dlrm) and its profile (``rankway models bench``). The argument ``profile``
only measures the profile again.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.autoscaling.accuracy import Cell, profile_path, run_accuracy, take_profile
from benchmarks.autoscaling.control import Control, run_control
from benchmarks.autoscaling.stretches import Stretch
from benchmarks.cases import dlrm
from benchmarks.harness.quiet import say
from services.paths import home_directory

_POLICY: dict[str, Any] = {"kind": "slo", "down_window_s": 30}
_PEAK_PER_S = 360.0
_WIDTHS = (8, 7, 10, 10, 8, 10, 18, 8, 9, 7, 8, 9, 15)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.autoscaling.live", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("part", nargs="?", choices=("control", "profile", "accuracy"))
    parser.add_argument("--quick", action="store_true", help="use a trace of 90 s and 10 s per cell")
    parser.add_argument(
        "--seconds",
        type=float,
        help="seconds per trace (default 300, with --quick 90) or per cell (default 40, with --quick 10)",
    )
    parser.add_argument(
        "--replicas",
        type=int,
        nargs="+",
        default=[1, 2],
        help="with the part accuracy: the replica counts to measure",
    )
    parser.add_argument(
        "--policy",
        type=json.loads,
        default=_POLICY,
        help="with the part control: the policy to measure, as JSON",
    )
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args(arguments)
    with redirect_stdout(sys.stderr):  # Ray's own messages go to stderr, so that stdout has only the JSON
        figures, control, cells = _measured(options)
    if options.as_json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
        return 0
    if control is not None:
        _show_control(control)
    if cells is not None:
        _show_accuracy(cells)
    return 0


def _measured(options: argparse.Namespace) -> tuple[dict[str, Any], Control | None, list[Cell] | None]:
    figures: dict[str, Any] = {}
    control, cells = None, None
    if options.part in (None, "control"):
        seconds = options.seconds or (90.0 if options.quick else 300.0)
        with tempfile.TemporaryDirectory(prefix="rankway-live-") as folder:
            dlrm.build(Path(folder), rows=100, items=2000, users=10)
            control = run_control(Path(folder), options.policy, seconds, _PEAK_PER_S, say)
        figures["control"] = _control_as_dict(control)
    if options.part != "control":
        home = home_directory()
        _make_ready(home, options.replicas, retake=options.part == "profile")
    if options.part in (None, "accuracy"):
        seconds = options.seconds or (10.0 if options.quick else 40.0)
        cells = run_accuracy(home, options.replicas, seconds, say)
        figures["accuracy"] = [_cell_as_dict(cell) for cell in cells]
    return figures, control, cells


def _make_ready(home: Path, replicas: Sequence[int], *, retake: bool) -> None:
    """Make the DLRM and its profiles if they are missing, and report each."""
    dlrm.build_if_missing(home)
    for count in replicas:
        if retake or not profile_path(home, count).exists():
            say(f"rankway models bench: taking the profile of a replica among {count} replicas")
            take_profile(home, count)


def _control_as_dict(control: Control) -> dict[str, Any]:
    return asdict(control) | {"difference": control.difference, "worst_rise_s": control.worst_rise_s}


def _cell_as_dict(cell: Cell) -> dict[str, Any]:
    names = [field.name for field in fields(Stretch) if field.name != "cores"]
    medians = {name: cell.median(name) for name in names}
    differences = {
        "difference": cell.difference,
        "paced_difference": cell.paced_difference,
        "medians": medians,
    }
    return asdict(cell) | differences


def _show_control(control: Control) -> None:
    _line(f"control: {control.policy}, {control.requests} requests in {control.seconds:.0f} s")
    _line(f"{'':24}{'live':>10}{'simulated':>11}")
    for name, live, simulated in (
        ("replica-seconds", control.live_replica_seconds, control.simulated_replica_seconds),
        ("ready replica-seconds", control.live_ready_seconds, control.simulated_ready_seconds),
        ("most replicas", control.live_peak, control.simulated_peak),
        ("p99 ms", control.live_p99_ms, control.simulated_p99_ms),
    ):
        _line(f"{name:24}{live:10.0f}{simulated:11.0f}")
    _line(f"replica-seconds differ by {control.difference:+.1%}")
    for live, simulated, replicas in control.rises:
        _line(f"  to {replicas:2} at {live:6.1f} s, simulated {simulated:6.1f} s: {simulated - live:+.1f} s")
    _line(
        f"steps up differ by {control.worst_rise_s:.1f} s at most; only one side made {control.unmatched} steps"
    )


def _show_accuracy(cells: Sequence[Cell]) -> None:
    head = ("replicas", "load", "requests", "p50 live", "sim.", "p99 live", "by stretch", "sim.", "differs")
    paces = ("pace", "paced", "differs", "foreign cores")
    _line("".join(f"{name:>{width}}" for name, width in zip(head + paces, _WIDTHS, strict=True)))
    for cell in cells:
        each = " ".join(f"{stretch.live_p99_ms:.0f}" for stretch in cell.stretches)
        sent = sum(stretch.sent for stretch in cell.stretches)
        foreign = max(stretch.cores["foreign"] for stretch in cell.stretches)
        row = (
            *(str(cell.replicas), f"{cell.load:.0%}", str(sent)),
            *(f"{cell.median(name):.1f}" for name in ("live_p50_ms", "simulated_p50_ms", "live_p99_ms")),
            *(each, f"{cell.median('simulated_p99_ms'):.1f}", f"{cell.difference:+.0%}"),
            *(f"{cell.median('pace'):.2f}", f"{cell.median('paced_p99_ms'):.1f}"),
            *(f"{cell.paced_difference:+.0%}", f"{foreign:.2f}"),
        )
        _line("".join(f"{text:>{width}}" for text, width in zip(row, _WIDTHS, strict=True)))


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
