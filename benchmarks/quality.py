"""Ranking quality on walks, MovieLens-100K and Online Retail II, each with a hold-out in time.

    python benchmarks/quality.py [--json] [--only walks ml100k retail] [--seeds 1] [--threads 2]

The walks need `rankway walks build` and `rankway train configs/walks.yaml` first. Missing event sets are built, and
their rankers are trained, one per seed. benchmarks/README.md explains the protocol.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.ranking.events import events_quality
from benchmarks.ranking.report import text_of
from benchmarks.ranking.walks import walks_quality
from models.errors import ModelError
from services.config.loading import load_config
from services.errors import ConfigError
from services.paths import home_directory

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SETS = ("walks", "ml100k", "retail")
LAMBDAMART_LISTS = 30_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="quality.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--only", nargs="+", choices=SETS, default=SETS, help="data sets to measure. Default: all"
    )
    parser.add_argument("--seeds", type=int, default=1, help="number of rankers to train on each event set")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--configs", type=Path, default=CONFIGS, help="folder of the pipelines' YAML files")
    options = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    try:
        for name in options.only:
            results[name] = _measure(name, options)
    except (ConfigError, ModelError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    else:
        sys.stdout.write("\n\n".join(text_of(name, part) for name, part in results.items()) + "\n")
    return 0


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    pipeline, home = load_config(options.configs / f"{name}.yaml"), home_directory()
    if name == "walks":
        return walks_quality(
            pipeline, home, threads=options.threads, seed=1, lambdamart_lists=LAMBDAMART_LISTS
        )
    return events_quality(pipeline, home, seeds=options.seeds, threads=options.threads, progress=_tell)


def _tell(what: str, done: int, total: int, note: str = "") -> None:
    if done == total or done % max(1, total // 20) == 0:
        sys.stderr.write(f"{what}: {done} of {total} {note}\n")


if __name__ == "__main__":
    sys.exit(main())
