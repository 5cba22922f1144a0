"""The control, with which the service is compared: the service's application on plain uvicorn, a process per replica.

    python -m benchmarks.cases.control configs/dlrm.yaml --port 8100 --processes 2

Each process has its own listening socket on the same port (SO_REUSEPORT), uvloop and httptools, and no access log. So
there is as little as possible between a socket and the application.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence

import uvicorn

from benchmarks.cases.workers import shared_listener, supervise
from services.app import build_application


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="benchmarks.cases.control", description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.processes > 1:
        return _supervise(options)
    _serve(options.config, options.port)
    return 0


def _supervise(options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "benchmarks.cases.control", options.config, "--port", str(options.port)]
    return supervise([subprocess.Popen([*command, "--processes", "1"]) for _ in range(options.processes)])


def _serve(config: str, port: int) -> None:
    listener = shared_listener(port)
    settings = uvicorn.Config(
        build_application(config),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
        backlog=2048,
    )
    uvicorn.Server(settings).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
