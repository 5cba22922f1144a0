"""The trend of serving.py's figures from release to release, as ratios of service to control in trend.csv.

    python -m benchmarks.serving --json > serving.json
    python -m benchmarks.trend add serving.json [MORE.json ...] --release 0.2.0
    python -m benchmarks.trend

Without a subcommand it prints the table. Several files are rounds of one measurement, and the medians of their ratios
are recorded. Ratios from different machines cannot be compared, so each row names the processor.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.trend_file import Row, TrendError, add_rows, read_trend, rows_of

TREND = Path(__file__).resolve().with_name("trend.csv")


def as_text(rows: Sequence[Row]) -> str:
    """Return the trend as a table, by workload and load. The oldest commit comes first."""
    if not rows:
        return "no release has been measured yet"
    lines = [
        f"{'workload':12} {'load':9} {'release':12} {'commit':9} {'date':10} {'req/s':>6} {'p50':>6} {'p99':>6} "
        f"{'core-ms':>7} {'failed':>6}  processor"
    ]
    order = list(dict.fromkeys((row.workload, row.load) for row in rows))
    for row in sorted(rows, key=lambda row: (order.index((row.workload, row.load)), row.date)):
        lines.append(
            f"{row.workload:12} {row.load:9} {row.release:12} {row.commit:9} {row.date:10} {row.rps_ratio:6.3f} "
            f"{row.p50_ratio:6.3f} {row.p99_ratio:6.3f} {row.core_ms_ratio:7.3f} {row.failed:6d}  "
            f"{row.cpu}, {row.cores} cores, {row.flags}"
        )
    return "\n".join(
        [*lines, "Each figure except failed is the service over the control, measured in one run."]
    )


def _commit(name: str) -> tuple[str, str]:
    """Return a commit's short hash and date."""
    command = ["git", "-C", str(TREND.parent), "log", "-1", "--format=%h %cs", "--end-of-options", name]
    try:
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise TrendError(
            f"--commit: unknown to git, got {name}; run this in a checkout that has it"
        ) from error
    short, day = output.split()
    return short, day


def _loaded(path: Path) -> dict[str, Any]:
    try:
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not run["results"]:
            raise ValueError("no results")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrendError(
            f"{path}: not the output of serving.py --json ({error!r}); name a file with this output"
        ) from error
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.trend", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--file", type=Path, default=TREND, help="file with the trend. Default: benchmarks/trend.csv"
    )
    adding = parser.add_subparsers(dest="command").add_parser(
        "add", help="append the results in the given files, the output of serving.py --json"
    )
    adding.add_argument("runs", nargs="+", type=Path, metavar="FILE")
    adding.add_argument("--release", required=True, help="release name")
    adding.add_argument("--commit", default="HEAD", help="the measured commit. Default: HEAD")
    options = parser.parse_args(arguments)
    try:
        if options.command == "add":
            runs = [_loaded(path) for path in options.runs]
            add_rows(options.file, list(rows_of(runs, options.release, *_commit(options.commit))))
        sys.stdout.write(as_text(read_trend(options.file)) + "\n")
    except TrendError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
