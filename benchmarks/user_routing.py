"""Users routed to replicas by HAProxy: hit rate of the history cache and CPU per request, against ``leastconn``.

    python -m benchmarks.user_routing [--events 300] [--zipf 1.0] [--clients 32 100] [--json]

It is a gain with many requests in flight and cold caches, and a loss with few. The sides are:

- off: no history cache.
- leastconn: the shipped balancing, with the cache.
- user: consistent hashing of the body's ``user_id``. A replica gets at most 1.25 times the mean of the requests in
  flight (Mirrokni et al. 2016, HAProxy's ``hash-balance-factor``).

The pipeline is the walks' ranker with random weights and long histories. The sides alternate, and each starts with
empty caches. Users are drawn from a Zipf distribution.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

from benchmarks.growth.history import write_home
from benchmarks.growth.in_process import with_changes
from benchmarks.harness.cells import Load, measure_cell
from benchmarks.harness.meters.scrape import metrics_url, settled_total
from benchmarks.harness.servers import Server, service
from services.config.pipeline import PipelineConfig
from services.deployment.ray_settings import throughput_settings

OFF, LEASTCONN, USER = "off", "leastconn", "user"
SIDES = (OFF, LEASTCONN, USER)
BALANCE = "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM"
_SERIES = ("ray_rankway_history_cache_total",)
_WARM_S, _WARM_CLIENTS, _BODIES, _CANDIDATES, _REPORT_PERIOD_MS = 4.0, 32, 30_000, 200, 1000
_DEADLINE_MS = 5000  # no request is late, so the ranker scores all of them


@dataclass(frozen=True, slots=True)
class Routed:
    """One side's figures in one round under a closed loop.

    Attributes:
        hit_rate: share of the requests whose encoded history was found.
        core_ms: CPU milliseconds per request, of all processes except the client.
        bad: errors, and answers with another status than 200.
    """

    side: str
    clients: int
    hit_rate: float
    rps: float
    p99_ms: float
    requests_a_batch: float
    core_ms: float
    bad: int


def balance_by_user(shipped: str) -> str:
    """Return a balancing algorithm that hashes users, followed by the further lines of the shipped setting.

    A request whose first 32 KiB contain no ``user_id`` takes the next replica in turn.
    """
    lines = ["hash req.body,json_query('$.user_id')", "hash-type consistent", "hash-balance-factor 125"]
    return "\n    ".join([*lines, "option http-buffer-request", *shipped.split("\n    ")[1:]])


def bodies(users: int, exponent: float, seed: int) -> list[bytes]:
    """Return request bodies. The k-th most frequent user has a share in proportion to k to the -``exponent``."""
    numbers = np.random.default_rng(0).permutation(users)
    shares = 1.0 / np.arange(1, users + 1) ** exponent
    drawn = numbers[np.random.default_rng(seed).choice(users, _BODIES, p=shares / shares.sum())]
    return [b'{"user_id":"u-%06d","k":10}' % user for user in drawn.tolist()]


def served(pipeline: PipelineConfig, side: str, replicas: int) -> PipelineConfig:
    """Return the pipeline for one side, with this many replicas on 2 CPUs."""
    unit = pipeline.model_dump(mode="json")["units"]["main"]
    unit |= {"replicas": replicas, "cpus": 2 / replicas, "profile": None}
    changes: dict[str, dict[str, Any]] = {
        "ranker": {"history_cache": None if side == OFF else {}},
        "requests": {"default_deadline_ms": _DEADLINE_MS},
        "units": {"main": unit},
    }
    return with_changes(pipeline, changes)


def measure(
    config: Path, side: str, home: Path, requests: Mapping[int, list[bytes]], seconds: float
) -> list[Routed]:
    """Serve one side with empty caches, and measure it with each number of clients.

    Args:
        config: the side's YAML file.
        side: a name in ``SIDES``.
        home: the data home.
        requests: the bodies for each number of clients. Those for 0 clients warm the caches.
        seconds: seconds for each number of clients.

    Raises:
        RuntimeError: the service did not start, or its metrics were not available.
    """
    settings = {"RANKWAY_HOME": str(home), "RAY_metrics_report_interval_ms": str(_REPORT_PERIOD_MS)}
    if side == USER:
        settings[BALANCE] = balance_by_user(throughput_settings()[BALANCE])
    figures = []
    with service(config, settings) as server:
        measure_cell(server, Load(clients=_WARM_CLIENTS), requests[0], _WARM_S, 0.0)
        before = _lookups(server)
        for clients in filter(None, requests):
            cell = measure_cell(server, Load(clients=clients), requests[clients], seconds, 0.0)
            after, load = _lookups(server), cell.load
            hits, misses = (now - then for now, then in zip(after, before, strict=True))
            before = after
            figures.append(
                Routed(
                    *(side, clients, hits / max(1.0, hits + misses), load.rps, load.p99_ms),
                    requests_a_batch=cell.batches.mean_requests,
                    core_ms=sum(cell.core_ms.values()),
                    bad=load.errors + sum(n for status, n in load.statuses.items() if status != "200"),
                )
            )
    return figures


def _lookups(server: Server) -> tuple[float, float]:
    """Return the hits and misses since the start. Both are 0 without a cache."""
    url = metrics_url(server.log)
    labels = ('result="hit"', 'result="miss"')
    hits, misses = (settled_total(url, _SERIES, label, quiet_s=1.5, limit_s=20.0)[0] for label in labels)
    return hits, misses


def medians(rounds: Sequence[Routed]) -> list[Routed]:
    """Return one row per side and number of clients: medians, and the sum of ``bad``."""
    groups: dict[tuple[str, int], list[Routed]] = {}
    for figure in rounds:
        groups.setdefault((figure.side, figure.clients), []).append(figure)
    return [
        Routed(
            *key,
            hit_rate=median(figure.hit_rate for figure in group),
            rps=median(figure.rps for figure in group),
            p99_ms=median(figure.p99_ms for figure in group),
            requests_a_batch=median(figure.requests_a_batch for figure in group),
            core_ms=median(figure.core_ms for figure in group),
            bad=sum(figure.bad for figure in group),
        )
        for key, group in groups.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="benchmarks.user_routing", description=about)
    parser.add_argument("--events", type=int, default=300, help="events in each user's history")
    parser.add_argument("--users", type=int, default=6000)
    parser.add_argument("--zipf", type=float, default=1.0, help="exponent of the users' frequencies")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--clients", type=int, nargs="+", default=[32, 100])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print every round")
    options = parser.parse_args(arguments)
    requests = {n: bodies(options.users, options.zipf, seed=n) for n in (0, *options.clients)}
    rounds: list[Routed] = []
    with tempfile.TemporaryDirectory(prefix="rankway-benchmark-") as folder:
        home = Path(folder)
        pipeline = write_home(home, [options.events] * options.users, _CANDIDATES)
        for side in options.sides:
            data = served(pipeline, side, options.replicas).model_dump(mode="json")
            (home / f"{side}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        for number in range(options.rounds):
            for side in options.sides[:: (-1) ** number]:
                rounds += measure(home / f"{side}.yaml", side, home, requests, options.seconds)
    if options.json:
        json.dump([asdict(figure) for figure in rounds], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(
        "side       clients  hit rate  requests/s  p99 ms  requests per batch  core-ms  failed\n"
    )
    for row in medians(rounds):
        sys.stdout.write(
            f"{row.side:9}  {row.clients:7}  {row.hit_rate:8.0%}  {row.rps:10.0f}  {row.p99_ms:6.0f}  "
            f"{row.requests_a_batch:18.1f}  {row.core_ms:7.3f}  {row.bad:6}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
