"""A whole service as an operator starts it: a separate process with its own ports and directories."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from tests.pipelines import bias_of, make_pipeline
from tests.services.servers import Connection, Reply, rank_request

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 150.0
STOP_LIMIT_S = 60.0
READY = "Ctrl-C stops it."


def no_middleware() -> list[Any]:
    """Return no middleware, in place of the fast path's function. Requests then take Serve's own path."""
    return []


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class ServiceProcess:
    """A started process and its output.

    Attributes:
        output: the lines on stderr that ``wait_for`` has read.
    """

    process: "subprocess.Popen[str]"
    port: int
    output: list[str] = field(default_factory=list)
    _lines: "queue.Queue[str | None]" = field(default_factory=queue.Queue)
    _shown: "queue.Queue[str | None]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        for stream, lines in ((self.process.stderr, self._lines), (self.process.stdout, self._shown)):
            assert stream is not None
            threading.Thread(target=_listen, args=(stream, lines), daemon=True).start()

    def next_on_stdout(self, limit_s: float = START_LIMIT_S) -> str | None:
        """Return the next line on stdout, or None at its end."""
        return self._shown.get(timeout=limit_s)

    def wait_for(self, wanted: str, limit_s: float = START_LIMIT_S) -> None:
        """Wait until the process prints a line that contains ``wanted``."""
        end_s = time.monotonic() + limit_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end_s - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {wanted!r} within {limit_s:.0f} s: {self.output[-20:]}") from None
            assert line is not None, f"it ended without {wanted!r}: {self.output[-20:]}"
            self.output.append(line)
            if wanted in line:
                return

    def match_in_output(self, pattern: str) -> str:
        """Match the pattern in the process's output, and return its first group."""
        match = re.search(pattern, " ".join(self.output))
        assert match is not None, f"{pattern} is not in {self.output}"
        return match[1]

    def descendants(self) -> list[psutil.Process]:
        """Return every process that descends from this one."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def replicas(self, unit: str) -> list[psutil.Process]:
        """Return a unit's Serve replicas, including replicas that are still starting."""
        return [
            each for each in self.descendants() if f":{unit}" in title(each) and "ServeReplica" in title(each)
        ]

    def runtime_directory(self) -> Path:
        """Return the directory that the service made for HAProxy's files."""
        config = next(each for each in self.descendants() if "haproxy.cfg" in title(each))
        return next(path for path in Path(config.cmdline()[-1]).parents if path.name.startswith("rankway-"))

    def interrupt(self) -> int:
        """Send SIGINT to the whole process group, as a terminal does for Ctrl-C. Return the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_LIMIT_S)

    def terminate(self) -> int:
        """Ask only the command to stop, as a supervisor does. Return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_LIMIT_S)


def _listen(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line.rstrip())
    lines.put(None)


def title(process: psutil.Process) -> str:
    """Return a process's command line. Empty if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def started(
    command: Sequence[str],
    port: int,
    home: Path,
    environment: Mapping[str, str] | None = None,
    *,
    python: str | Path = sys.executable,
    folder: Path = ROOT,
) -> Iterator[ServiceProcess]:
    """Start a Python command in a folder, by default the repository's root. Always end it and its descendants."""
    process = subprocess.Popen(
        [python, *command],
        cwd=folder,
        env={**os.environ, "RANKWAY_HOME": str(home), **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    service = ServiceProcess(process, port)
    left: list[psutil.Process] = []
    try:
        yield service
    finally:
        if process.poll() is None:
            left = service.descendants()
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        _, alive = psutil.wait_procs(left, 5)
        for each in alive:
            each.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
        process.wait(STOP_LIMIT_S)


@contextmanager
def served(
    home: Path, changes: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[ServiceProcess]:
    """Serve the small pipeline with ``rankway serve`` on a free port. It is ready when the block begins."""
    with served_config(make_pipeline(home, changes), home, environment) as service:
        yield service


@contextmanager
def served_config(
    config: Path, home: Path, environment: Mapping[str, str] | None = None
) -> Iterator[ServiceProcess]:
    """Serve a pipeline with ``rankway serve`` on a free port. It is ready when the block begins."""
    port = free_port()
    command = ["-m", "cli.main", "serve", str(config), "--port", str(port)]
    with started(command, port, home, environment) as service:
        service.wait_for(READY)
        yield service


@dataclass
class Load:
    """The answers that closed-loop clients got, by status, and every wrong or missing answer.

    Attributes:
        pause_s: seconds that each client waits before its next request.
        candidates: how many items a request sends, the first ones of the catalogue.
        replicas: the prefixes of the request ids, one per replica that answered.
        slowest_s: the longest wait for an answer.
    """

    port: int
    pause_s: float = 0.0
    candidates: int = 1
    statuses: "Counter[int]" = field(default_factory=Counter)
    replicas: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _progress: threading.Condition = field(default_factory=threading.Condition)

    def client(self, user: int) -> None:
        """Ask for one user until the load stops. Compare every score with the user's bias."""
        items = [f"item-{index:04d}" for index in range(self.candidates)]
        data = rank_request({"user_id": f"u{user}", "candidates": items, "deadline_ms": 20_000})
        try:
            while not self._stop.is_set():
                with Connection(self.port) as connection:
                    while not self._stop.is_set():
                        asked_s = time.monotonic()
                        reply = connection.ask(data)
                        self._note(user, reply, time.monotonic() - asked_s)
                        if reply.headers.get("connection", "").lower() == "close":
                            break  # a proxy that is being replaced announces it with its last answer
                        if self.pause_s:
                            self._stop.wait(self.pause_s)
        except (OSError, AssertionError, ValueError) as error:
            with self._progress:
                self.wrong.append(f"u{user}: {error!r}")
                self._progress.notify_all()

    def _note(self, user: int, reply: Reply, waited_s: float) -> None:
        answer = reply.json if reply.status == 200 else {"items": []}
        with self._progress:
            self.statuses[reply.status] += 1
            self.slowest_s = max(self.slowest_s, waited_s)
            # The proxy's own answers have no id. They are recorded as wrong below.
            self.replicas.add(reply.headers.get("x-request-id", "").rpartition("-")[0])
            if [item["score"] for item in answer["items"]] != self._scores(user):
                self.wrong.append(f"u{user}: {reply.status} {reply.body[:300]!r}")
            self._progress.notify_all()

    def _scores(self, user: int) -> list[float]:
        """Return the right scores of an answer with the default ``k``, best first."""
        return [bias_of(user) + value for value in reversed(range(self.candidates))][:10]

    def wait_for(self, answers: int = 1, replicas: int = 1, limit_s: float = 60.0) -> None:
        """Wait for ``answers`` more answers, and until ``replicas`` replicas have answered since the start."""
        with self._progress:
            wanted = self.statuses.total() + answers
            arrived = self._progress.wait_for(
                lambda: (
                    (self.statuses.total() >= wanted and len(self.replicas) >= replicas) or bool(self.wrong)
                ),
                limit_s,
            )
        assert arrived, (
            f"{answers} answers of {replicas} replicas did not come: {self.statuses}, {self.replicas}"
        )


@contextmanager
def load(port: int, clients: int = 16, pause_s: float = 0.0, candidates: int = 1) -> Iterator[Load]:
    """Keep ``clients`` clients asking, each for its own user."""
    asked = Load(port, pause_s, candidates)
    threads = [threading.Thread(target=asked.client, args=(user,), daemon=True) for user in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        asked._stop.set()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
