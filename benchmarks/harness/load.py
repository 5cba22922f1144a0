"""HTTP load from one process: a closed loop with clients, or an open loop with Poisson arrivals.

python -m benchmarks.harness.load http://127.0.0.1:8000/v1/rank --body '{"user_id": "u-1"}' --clients 32
python -m benchmarks.harness.load http://127.0.0.1:8000/v1/rank --body '{"user_id": "u-1"}' --rate 500
"""

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.connections import http_request
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.results import LoadResult


def run_closed(host: str, port: int, loop: ClosedLoop) -> LoadResult:
    """Run a closed loop until it ends."""
    return _run(loop.run(host, port))


def run_open(host: str, port: int, loop: OpenLoop) -> LoadResult:
    """Run an open loop until it ends."""
    return _run(loop.run(host, port))


def _run(main: Coroutine[Any, Any, LoadResult]) -> LoadResult:
    with _without_collector(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Turn the garbage collector off. With the answers of an earlier window, one pass stopped the client for 60 ms."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line, and print JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.harness.load", description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument(
        "--body",
        action="append",
        default=[],
        help="request body as JSON, or @FILE with one body per line. May be repeated. All bodies are sent in turn",
    )
    parser.add_argument("--clients", type=int, default=32, help="number of clients in a closed loop")
    parser.add_argument("--rate", type=float, help="arrivals per second. Selects an open loop")
    parser.add_argument("--connections", type=int, default=256, help="number of connections in an open loop")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args(arguments)
    url = urlsplit(options.url)
    host, port = url.hostname or "127.0.0.1", url.port or 80
    bodies = [line for body in options.body for line in _lines(body)]
    path = url.path or "/"
    requests = [http_request(host, path, body) for body in bodies] or [http_request(host, path)]
    if options.rate is None:
        closed = ClosedLoop(requests, clients=options.clients, duration_s=options.seconds)
        result = run_closed(host, port, closed)
    else:
        opened = OpenLoop(requests, options.rate, options.seconds, connections=options.connections)
        result = run_open(host, port, opened)
    json.dump(result.as_dict(), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def _lines(body: str) -> list[bytes]:
    if body.startswith("@"):
        return [line for line in Path(body[1:]).read_bytes().splitlines() if line.strip()]
    return [body.encode()]


if __name__ == "__main__":
    sys.exit(main())
