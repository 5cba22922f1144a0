"""Faults as callers see them: what callers receive during each fault, and how long the recovery takes.

    python benchmarks/faults.py [--json] [--only redis-kill ...] [--rate 100]

It needs `rankway walks build`, `rankway train configs/walks.yaml` and a redis-server. The faults happen to real
processes. The goal is no 5xx, no lost connection and no unanswered request. benchmarks/README.md explains the report.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import yaml

from benchmarks.cases.workloads import CONFIGS
from benchmarks.harness.meters.scrape import metrics_url, total
from benchmarks.harness.redis_server import RedisServer, redis_server
from benchmarks.harness.servers import Server, service
from benchmarks.outages.disk import disk_fault, limited_disk
from benchmarks.outages.fault import Fault, Plan, measure_outage
from benchmarks.outages.replicas import ingress_fault, ranker_fault
from benchmarks.outages.store import store_faults
from benchmarks.outages.timeline import Outage
from models.features.rows import KeyedGroup, row_key
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.paths import home_directory
from services.stores.kinds.redis import RedisConfig

WHOLE = ("redis-kill", "redis-freeze", "redis-full", "redis-garbage", "log-full", "ingress-kill")
SPLIT = ("ranker-kill",)
"""The faults of the whole service and of the split service."""
USERS = 997
_DROPPED = "ray_rankway_log_dropped_rows_total"


def users_of() -> list[str]:
    """Return the ids of the users who send requests, in turn."""
    return [f"u-{number:06d}" for number in range(USERS)]


@contextmanager
def whole_service(folder: Path) -> Iterator[tuple[Server, PipelineConfig, dict[str, Fault]]]:
    """Run configs/walks-redis.yaml over its own Redis, with a log on a disk that can be filled.

    Yields the service, its pipeline, and its faults by name.
    """
    with ExitStack() as stack:
        store = stack.enter_context(redis_server(folder))
        disk = folder / "log"
        may_fill = stack.enter_context(limited_disk(disk))
        changes: dict[str, Any] = {"log": {"path": str(disk), "roll_bytes": 65_536, "roll_s": 1.0}}
        config = _written(folder, CONFIGS / "walks-redis.yaml", store, changes)
        _load_users(config, store)
        server = stack.enter_context(service(config))
        pipeline = load_config(config)
        faults = store_faults(store, _keys(pipeline))
        if may_fill:
            faults.append(disk_fault(disk, lambda: _metric(server, _DROPPED)))
        faults.append(ingress_fault(server, pipeline.ingress_unit))
        yield server, pipeline, {fault.name: fault for fault in faults}


@contextmanager
def split_service() -> Iterator[tuple[Server, PipelineConfig, dict[str, Fault]]]:
    """Run configs/walks-split.yaml, whose ranker unit has one replica."""
    config = CONFIGS / "walks-split.yaml"
    with service(config) as server:
        pipeline = load_config(config)
        unit = next(name for name, unit in pipeline.units.items() if "ranker" in unit.stages)
        fault = ranker_fault(server, unit)
        yield server, pipeline, {fault.name: fault}


def measure(names: Sequence[str], plan: Plan) -> dict[str, Any]:
    """Cause the named faults in the services, one after the other."""
    outages: list[Outage] = []
    with tempfile.TemporaryDirectory(prefix="rankway-faults-") as folder:
        for applicable, scene in ((WHOLE, whole_service(Path(folder))), (SPLIT, split_service())):
            selected = [name for name in applicable if name in names]
            if selected:
                with scene as (server, pipeline, faults):
                    outages += _suffered(
                        [faults[name] for name in selected if name in faults], server, pipeline, plan
                    )
    done = {outage.name for outage in outages}
    return {
        "rate": plan.rate,
        "outages": [asdict(outage) | {"server_errors": outage.server_errors} for outage in outages],
        "skipped": {name: "this user may not mount a file system" for name in names if name not in done},
    }


def _suffered(faults: Sequence[Fault], server: Server, pipeline: PipelineConfig, plan: Plan) -> list[Outage]:
    bodies = [json.dumps({"user_id": user, "k": 10}).encode() for user in users_of()]
    deadline_s = pipeline.requests.default_deadline_ms / 1e3
    outages = []
    for fault in faults:
        sys.stderr.write(f"{fault.name}: {fault.what}\n")
        outages.append(measure_outage(fault, server, bodies, deadline_s, plan))
    return outages


def _written(folder: Path, config: Path, store: RedisServer, changes: dict[str, Any]) -> Path:
    document = yaml.safe_load(config.read_text()) | changes
    document["features"]["store"]["nodes"] = [f"127.0.0.1:{store.port}"]
    path = folder / config.name
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _load_users(config: Path, store: RedisServer) -> None:
    users = home_directory() / "walks" / "full" / "users"
    command = [sys.executable, "-m", "cli.main", "features", "load", str(config), str(users)]
    subprocess.run(command, check=True, cwd=CONFIGS.parent)
    store.save()


def _keys(pipeline: PipelineConfig) -> list[bytes]:
    """Return the store's keys for the users who send requests."""
    assert isinstance(pipeline.features.store, RedisConfig)
    prefix, groups = pipeline.features.store.prefix.encode(), get_args(KeyedGroup)
    return [prefix + row_key(group, user.encode()) for user in users_of() for group in groups]


def _metric(server: Server, name: str) -> float:
    with urllib.request.urlopen(metrics_url(server.log), timeout=10) as answer:
        return total(answer.read().decode(), name, "")


def as_text(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    lines = [
        f"open loop, {result['rate']:g} requests/s. Recovery is timed from the repair, or for replicas from the kill",
        f"{'fault':14} {'answers':>7} {'5xx':>4} {'lost':>4} {'missed':>6} {'429':>5} {'degraded':>8}   "
        f"{'recovered':>9} {'replaced':>8}   {'p99 ms before':>13} {'during':>7} {'after':>6} {'worst':>6}",
    ]
    for row in result["outages"]:
        replaced = "" if row["replaced_s"] is None else f"{row['replaced_s']:.1f} s"
        lines.append(
            f"{row['name']:14} {row['answers']:7} {row['server_errors']:4} {row['lost']:4} {row['missed']:6} "
            f"{row['statuses'].get('429', 0):5} {sum(row['degraded'].values()):8}   {row['recovered_s']:7.2f} s "
            f"{replaced:>8}   {row['p99_before_ms']:13.1f} {row['p99_during_ms']:7.1f} {row['p99_after_ms']:6.1f} "
            f"{row['worst_ms']:6.0f}"
        )
        parts = [f"{reason} {count}" for reason, count in row["degraded"].items()]
        parts += [f"{name} {value:g}" for name, value in row["notes"].items()]
        lines.append(f"  {row['what']}{': ' if parts else ''}{', '.join(parts)}")
    lines += [f"{name}: skipped, {why}" for name, why in result["skipped"].items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Return 1 if a request got a 5xx or no answer."""
    parser = argparse.ArgumentParser(prog="faults.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--only", nargs="+", choices=(*WHOLE, *SPLIT), default=(*WHOLE, *SPLIT))
    parser.add_argument("--rate", type=float, default=100.0, help="requests to send per second")
    options = parser.parse_args(arguments)
    result = measure(options.only, Plan(options.rate))
    sys.stdout.write((json.dumps(result, indent=2) if options.json else as_text(result)) + "\n")
    bad = sum(row["server_errors"] + row["lost"] + row["missed"] for row in result["outages"])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
