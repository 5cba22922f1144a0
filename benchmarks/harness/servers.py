"""Starts and stops the servers under test: the service, and the control, the same application on plain uvicorn."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.meters.processes import CpuMeter

MARK = "RANKWAY_BENCHMARK"
_START_LIMIT_S = 240.0
_STOP_LIMIT_S = 60.0
_HELPERS_LIMIT_S = 2.0
_POLL_PERIOD_S = 0.1
_READY = "Ctrl-C stops it"
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its port, its CPU meter, and the file with its output."""

    port: int
    meter: CpuMeter
    log: Path

    def health(self) -> dict[str, Any]:
        """Return the document at ``/readyz``.

        Raises:
            OSError: the server does not answer.
            ValueError: the answer is not JSON.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
            health: dict[str, Any] = json.load(answer)
        return health


def _is_healthy(server: Server) -> bool:
    try:
        server.health()
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def service(
    config: Path, settings: Mapping[str, str] | None = None, checkout: Path = _ROOT
) -> Iterator[Server]:
    """Run ``rankway serve``. It is stopped by SIGINT, as with Ctrl-C.

    Args:
        config: the pipeline.
        settings: additional environment variables.
        checkout: root of the repository's checkout to run. Another one than this one runs with its own ``.venv``.
    """
    port = free_port()
    python = sys.executable if checkout == _ROOT else str(checkout / ".venv/bin/python")
    command = [python, "-m", "cli.main", "serve", str(config), "--port", str(port)]
    with running(command, port, settings or {}, folder=checkout) as server:
        _wait_until_announced(server)
        yield server


@contextmanager
def control(config: Path, processes: int) -> Iterator[Server]:
    """Run the control: the service's application on plain uvicorn."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.cases.control", str(config), "--port", str(port)]
    with running([*command, "--processes", str(processes)], port, {}) as server:
        yield server


def free_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    settings: Mapping[str, str],
    is_ready: Callable[[Server], bool] = _is_healthy,
    folder: Path = _ROOT,
) -> Iterator[Server]:
    """Run a server until it is ready, and stop it and all its processes afterwards.

    Args:
        command: starts the server.
        port: the port on which it will listen.
        settings: additional environment variables.
        is_ready: asked ten times a second until it returns True.
        folder: the command's working directory.

    Raises:
        RuntimeError: the server ended, or was not ready in time.
    """
    mark = secrets.token_hex(8)
    meter = CpuMeter(f"{MARK}={mark}")
    with tempfile.NamedTemporaryFile(prefix="rankway-benchmark-", suffix=".log") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **settings, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            server = Server(port, meter, Path(log.name))
            _wait_until_ready(server, process, is_ready)
            yield server
        finally:
            _stop(process, meter)


def _wait_until_ready(
    server: Server, process: "subprocess.Popen[bytes]", is_ready: Callable[[Server], bool]
) -> None:
    limit_s = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < limit_s:
        if process.poll() is not None:
            log_end = server.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the server ended with {process.returncode} before it was ready: {log_end}")
        if is_ready(server):
            return
        time.sleep(_POLL_PERIOD_S)
    log_end = server.log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the server was not ready within {_START_LIMIT_S:.0f} s: {log_end}")


def _wait_until_announced(server: Server) -> None:
    """Wait until the service reports that it is ready. Requests before that may go through Serve's fallback proxy."""
    limit_s = time.monotonic() + _START_LIMIT_S
    while _READY not in server.log.read_text(errors="replace"):
        if time.monotonic() > limit_s:
            raise RuntimeError(f"the service did not print {_READY!r} within {_START_LIMIT_S:.0f} s")
        time.sleep(_POLL_PERIOD_S)


def _stop(process: "subprocess.Popen[bytes]", meter: CpuMeter) -> None:
    meter.read()  # finds the child processes, which cannot be told from others once their parents have ended
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # Helpers such as multiprocessing's resource tracker end just after the process that started them.
    end_s = time.monotonic() + _HELPERS_LIMIT_S
    while (remaining := {pid: own for pid, own in meter.read().items() if pid != process.pid}) and (
        time.monotonic() < end_s
    ):
        time.sleep(_POLL_PERIOD_S)
    if remaining:
        sys.stderr.write(
            f"the server left processes behind, ended now: {sorted(p.role for p in remaining.values())}\n"
        )
    for pid in remaining:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
