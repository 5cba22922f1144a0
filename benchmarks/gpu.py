"""Rankers on one GPU: candidates per second, latency under load, and shares of the card's measured rates.

    python benchmarks/gpu.py [--minutes 6] [--json] [--workload hstu] [--variant fused]

It needs only PyTorch, numpy and the folders ``benchmarks`` and ``models``. Python 3.11 and PyTorch 2.11 are the oldest
versions. Without a GPU it says that it was not run. ``--smoke`` runs the same code at a tiny size, on the CPU if
there is no GPU. ``--profile FILE`` writes the profile of the walks' ranker on this device instead.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the packages need not be installed

import torch

from benchmarks.on_gpu.cells import Bench
from benchmarks.on_gpu.machine import describe, is_hopper, measure_rates
from benchmarks.on_gpu.plan import Selection, run
from benchmarks.on_gpu.profiles import write_profile
from benchmarks.on_gpu.report import as_text, goal
from benchmarks.on_gpu.variants import variants_of
from benchmarks.on_gpu.workloads import SMOKE, WORKLOADS

_NO_GPU = "this machine has no GPU; run it on a machine with one, or with --smoke for the CPU's code paths"
_PROFILES = Path(__file__).resolve().parents[1] / "configs" / "profiles"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    names = [variant.name for workload in WORKLOADS.values() for variant in variants_of(workload.options)]
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=6.0, help="begin no cell after this time")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement in a cell")
    parser.add_argument("--workload", action="append", choices=sorted(WORKLOADS), help="may be repeated")
    parser.add_argument(
        "--variant", action="append", choices=list(dict.fromkeys(names)), help="may be repeated"
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, also without a GPU")
    parser.add_argument(
        "--float32", action="store_true", help="compute the layers in float32, not in bfloat16"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", type=Path, help="write the profile of the walks' ranker to this file")
    parser.add_argument("--profile-pool", default="gpu-large", help="pool of the profile")
    parser.add_argument(
        "--profile-base",
        type=Path,
        default=_PROFILES / "cluster-ranker-cpu.json",
        help="profile with the sizes of batches and the times outside batches",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    options = parse(arguments)
    has_gpu = torch.cuda.is_available()
    if not has_gpu and not options.smoke:
        if options.json:
            sys.stdout.write(json.dumps({"ran": False, "reason": _NO_GPU}) + "\n")
        else:
            sys.stdout.write(f"not run: {_NO_GPU}\n")
        return 0
    device = torch.device("cuda", torch.cuda.current_device()) if has_gpu else torch.device("cpu")
    if options.profile is not None:
        try:
            base, pool = options.profile_base, options.profile_pool
            profile = write_profile(device, base, pool, options.profile, 0.5 if options.smoke else 20.0)
        except ValueError as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
        sys.stdout.write(
            json.dumps(profile, indent=1) + "\n" if options.json else f"wrote {options.profile}\n"
        )
        return 0
    result = measure(options, device)
    sys.stdout.write((json.dumps(result, indent=1) if options.json else as_text(result)) + "\n")
    missed_goal = result["goal"] is not None and result["goal"]["reached"] is False
    return 1 if result["failed"] or missed_goal else 0


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Run the selected cells and return all figures."""
    until_s = time.monotonic() + 60 * options.minutes
    facts = describe(device)
    say(", ".join(f"{name} {value}" for name, value in facts.items()))
    known = SMOKE if options.smoke else WORKLOADS
    workloads = {name: known[name] for name in options.workload or known}
    dtype = torch.float32 if options.float32 else torch.bfloat16
    rates = measure_rates(device, dtype, smoke=options.smoke)
    bench = Bench(device, dtype, rates, 0.01 if options.smoke else options.seconds)
    selection = Selection(workloads, tuple(options.variant or ()), compiles=not options.smoke)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "flex_attention called without torch.compile")  # on CPUs
        outcome = run(bench, selection, until_s, say)
    return {
        "ran": True,
        "smoke": options.smoke,
        "machine": facts,
        "dtype": str(dtype).removeprefix("torch."),
        "rates": asdict(rates),
        "goal": goal(outcome.rows, is_hopper=is_hopper(device) and not options.smoke),
        **asdict(outcome),
    }


def say(line: str) -> None:
    """Write a line about the progress."""
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
