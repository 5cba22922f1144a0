"""The control, with which the service is compared: the service's application on plain uvicorn, a process per replica.

    python -m benchmarks.cases.control configs/dlrm.yaml --port 8100 --processes 2

Each process has its own listening socket on the same port (SO_REUSEPORT), uvloop and httptools, and no access log. So
there is as little as possible between a socket and the application.
"""

import argparse
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

import uvicorn

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
    workers = [subprocess.Popen([*command, "--processes", "1"]) for _ in range(options.processes)]

    def stop(*_: object) -> None:
        for worker in workers:
            worker.terminate()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return max(abs(worker.wait()) for worker in workers)


def _serve(config: str, port: int) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
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
