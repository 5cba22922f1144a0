"""A process that loads one model and executes requests when it is told to.

It holds all requests before it loads the model, so that their memory can be told from the model's. It ends
when its parent does, because its pipe is then closed.
"""

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from models.artifact import Artifact
from models.atomic_directory import settled
from models.compress.data.base import Call
from models.errors import ModelError, RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.base import RuntimeOptions
from models.runtimes.golden import check_golden

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_CLEAR_PEAK = "5"
_LOAD_LIMIT_S, _ENDING_S = 600.0, 10.0


@dataclass(frozen=True, slots=True)
class Memory:
    """The resident memory of a process, in MiB.

    Attributes:
        peak_mib: the largest memory since the model was loaded, without that of the requests.
        before_mib: the memory just before the model was loaded, without that of the requests.
    """

    peak_mib: float
    before_mib: float


class SideFailure(RuntimeFailure):
    """A model cannot be loaded or executed.

    Attributes:
        side: the model's name.
    """

    def __init__(self, side: str, problem: str) -> None:
        """Set the name and the problem. The message has both."""
        super().__init__(f"{side}: {problem}")
        self.side = side


class Worker:
    """A model in a process of its own. Use it in a ``with`` block."""

    def __init__(
        self, name: str, root: Path, config: RuntimeOptions, requests: Mapping[int, Sequence[Call]]
    ) -> None:
        """Start the process. It gets the requests, loads the model and runs its golden requests.

        Args:
            name: the model's name in errors.
            root: the artifact's folder.
            config: the runtime.
            requests: the requests by number of candidates.
        """
        self._name = name
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, root, config), daemon=True)
        self._process.start()
        theirs.close()
        with suppress(OSError):  # the process has ended: ``ready`` raises the reason
            for candidates, calls in requests.items():
                for call in calls:  # one at a time, so that the copy in the pipe is small
                    self._pipe.send((candidates, call))
            self._pipe.send(None)

    def __enter__(self) -> "Worker":
        """Return the worker."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(_ENDING_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            SideFailure: it cannot be loaded, or failed on its golden requests.
        """
        self._answer(_LOAD_LIMIT_S)

    def times_ms(self, candidates: int, window_s: float, first: int = 0) -> list[float]:
        """Execute requests for ``window_s`` seconds, at least one, and return the time of each.

        Args:
            candidates: the number of candidates in the requests.
            window_s: seconds.
            first: the number of the first request. The others follow in turn.

        Raises:
            SideFailure: the model failed on a request.
        """
        times: list[float] = self._ask("time", (candidates, window_s, first))
        return times

    def memory(self) -> Memory:
        """Return the memory of the process.

        Raises:
            SideFailure: the process has ended.
        """
        memory: Memory = self._ask("memory", None)
        return memory

    def _ask(self, what: str, argument: Any) -> Any:
        try:
            self._pipe.send((what, argument))
        except OSError as error:
            raise self._ended() from error
        return self._answer(None)

    def _answer(self, limit_s: float | None) -> Any:
        try:
            if not self._pipe.poll(limit_s):
                raise SideFailure(self._name, f"was not loaded after {limit_s:g} s; use a faster disk")
            fault, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if fault is not None:
            raise SideFailure(self._name, fault)
        return answer

    def _ended(self) -> SideFailure:
        self._process.join(_ENDING_S)
        return SideFailure(
            self._name,
            f"the process that executed the model ended with exit code {self._process.exitcode}; see its output. With "
            f"exit code -9 the system had too little memory",
        )


class _Server:
    """The process's side."""

    def __init__(self, root: Path, config: RuntimeOptions, requests: Mapping[int, Sequence[Call]]) -> None:
        self._requests = requests
        artifact = Artifact.read(root)
        self._runtime = load_runtime(settled(root), artifact, config)
        check_golden(settled(root), artifact, self._runtime, narrow=config.is_narrow)

    def times_ms(self, candidates: int, window_s: float, first: int) -> list[float]:
        times: list[float] = []
        requests = self._requests[candidates]
        begun_s = time.perf_counter()
        while not times or time.perf_counter() - begun_s < window_s:
            calls = requests[(first + len(times)) % len(requests)]
            call_s = time.perf_counter()
            for inputs in calls:
                self._runtime.run(inputs)
            times.append((time.perf_counter() - call_s) * 1e3)
        return times


def _serve(pipe: Connection, root: Path, config: RuntimeOptions) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the parent ends this one
    try:
        before_mib = _status_mib("VmRSS")
        requests: dict[int, list[Call]] = {}
        while (sent := pipe.recv()) is not None:
            requests.setdefault(sent[0], []).append(sent[1])
        of_requests_mib = _status_mib("VmRSS") - before_mib
        with suppress(
            OSError
        ):  # the peak begins again here. Without /proc, or if that is not allowed, it does not
            _CLEAR.write_text(_CLEAR_PEAK)
        server = _Server(root, config, requests)
        pipe.send((None, None))
        while True:
            what, argument = pipe.recv()
            if what == "time":
                pipe.send((None, server.times_ms(*argument)))
            else:
                pipe.send((None, Memory(_status_mib("VmHWM") - of_requests_mib, before_mib)))
    except (ModelError, MemoryError) as error:
        pipe.send((str(error) or "out of memory", None))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent has closed the pipe


def _status_mib(field: str) -> float:
    """Return a size in this process's status, in MiB. 0 on a system without /proc."""
    lines = _STATUS.read_text().splitlines() if _STATUS.exists() else []
    found = next((line for line in lines if line.startswith(f"{field}:")), None)
    return 0.0 if found is None else int(found.split()[1]) / 1024
