"""The autoscaling lab held against a real local Ray: what the simulator says, and what happened.

    python -m benchmarks.autoscale_live [--quick] [--json] [control|accuracy]

Control: units that wait instead of computing, scaled by a policy through the adapter, and the same policy in the
simulator on the same arrivals: replica-seconds, and the moment of each step up. Accuracy: the DLRM of
configs/dlrm.yaml at fixed numbers of replicas and loads, and what the simulator makes of its profile, which was
measured in an earlier run (rankway models bench): p99. Wanted: within 10% and 2 s, and within 20%.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import dlrm
from benchmarks.live.accuracy import Cell, run_accuracy
from benchmarks.live.control import Control, run_control
from services.home import home_directory

_POLICY: dict[str, Any] = {"kind": "slo", "down_window_s": 30}
_PEAK_PER_S = 360.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.autoscale_live", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("part", nargs="?", choices=("control", "accuracy"))
    parser.add_argument(
        "--quick", action="store_true", help="a trace of a minute and a half; few seconds a cell"
    )
    parser.add_argument("--seconds", type=float, help="the trace's length; default 300, quick 90")
    parser.add_argument("--policy", type=json.loads, default=_POLICY, help="control: the policy, as JSON")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args(arguments)
    with redirect_stdout(sys.stderr):  # where Ray's own messages go, so that the JSON is alone
        told, control, cells = _measured(options)
    if options.as_json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return 0
    if control is not None:
        _show_control(control)
    if cells is not None:
        _show_accuracy(cells)
    return 0


def _measured(options: argparse.Namespace) -> tuple[dict[str, Any], Control | None, list[Cell] | None]:
    told: dict[str, Any] = {}
    control, cells = None, None
    if options.part != "accuracy":
        seconds = options.seconds or (90.0 if options.quick else 300.0)
        with tempfile.TemporaryDirectory(prefix="rankway-live-") as folder:
            dlrm.build(Path(folder), rows=100, items=2000, users=10)
            control = run_control(Path(folder), options.policy, seconds, _PEAK_PER_S, _say)
        told["control"] = _control_as_dict(control)
    if options.part != "control":
        cells = run_accuracy(home_directory(), 4.0 if options.quick else 10.0, _say)
        told["accuracy"] = [asdict(cell) | {"difference": cell.difference} for cell in cells]
    return told, control, cells


def _control_as_dict(control: Control) -> dict[str, Any]:
    return asdict(control) | {"difference": control.difference, "worst_rise_s": control.worst_rise_s}


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
        f"steps up differ by {control.worst_rise_s:.1f} s at most; {control.unmatched} were made by one side alone"
    )


def _show_accuracy(cells: Sequence[Cell]) -> None:
    _line(f"{'replicas':>8}{'load':>7}{'offered/s':>11}{'p99 live':>10}{'p99 sim.':>10}{'differs':>9}")
    for cell in cells:
        _line(
            f"{cell.replicas:8}{cell.load:7.0%}{cell.rate:11.0f}{cell.live_p99_ms:10.1f}"
            f"{cell.simulated_p99_ms:10.1f}{cell.difference:+9.0%}"
        )


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
