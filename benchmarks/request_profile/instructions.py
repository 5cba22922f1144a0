"""Counts the Python instructions of a request by function, on the event loop and on the model thread.

A count does not depend on the machine's speed, so it shows small changes that a time cannot show. Functions that run
once per batch vary with the batch size. The count says nothing about the time inside C functions. The application runs
in this process, behind the protocol that parses HTTP in a replica. Requests come from clients in memory, not sockets.
"""

import asyncio
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from benchmarks.cases.workloads import Workload
from benchmarks.harness.cells import rank_request
from benchmarks.request_profile.threads import LOOP, MODEL
from benchmarks.request_profile.tracer import Function, Tracer
from services.app import StandaloneApp, build_application
from services.ingress.direct import DirectAnswer, DirectProtocol

_WARM_ANSWERS = 200
_COUNTED_ANSWERS = 1000
_LIMIT_S = 60.0
_THINKING_S = 0.01  # between an answer and the next request. Requests then meet in the queue, as in a service
_SHOWN = 25
_THREADS = {"MainThread": LOOP, "model": MODEL}


@dataclass(frozen=True, slots=True)
class Counted:
    """The functions of each thread, the one with the most instructions first."""

    workload: str
    clients: int
    answers: int
    threads: dict[str, list[Function]]


class _Layer:
    """Stands in for Serve's layers around the application, which end at its direct way."""

    def __init__(self, application: StandaloneApp) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI connection."""
        await self.application(scope, receive, send)

    def direct_target(self) -> DirectAnswer:
        """Return the application's direct way."""
        assert self.application.rank_app is not None
        return self.application.rank_app.direct


class _Client(asyncio.Transport):
    """A client in memory: the transport of a protocol, which gets the next request after each answer."""

    def __init__(self, protocol: DirectProtocol, request: bytes) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self._protocol, self._request = protocol, request
        self.answers = 0
        self.stopped = False
        protocol.connection_made(self)
        self.send()

    def send(self) -> None:
        """Send a request, unless the client has stopped."""
        if not self.stopped:
            self._protocol.data_received(self._request)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take an answer.

        Raises:
            RuntimeError: it is an error.
        """
        if not bytes(data).startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the application answered {bytes(data)[:200]!r}")
        self.answers += 1
        asyncio.get_running_loop().call_later(_THINKING_S, self.send)

    def is_closing(self) -> bool:
        """Return False: a client stays until the end."""
        return False


def count(workload: Workload, clients: int) -> Counted:
    """Run the application in this process, and count the instructions of its requests."""
    with workload.config_file() as config, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_count(config, workload, clients))


async def _count(config: Path, workload: Workload, clients: int) -> Counted:
    tracer = Tracer(_THREADS)
    threading.settrace(tracer.trace)  # for the model thread, which starts when the application is loaded
    try:
        application = build_application(config)
        requests: asyncio.Queue[Any] = asyncio.Queue()
        answers: asyncio.Queue[Any] = asyncio.Queue()
        lifespan = asyncio.create_task(application({"type": "lifespan"}, requests.get, answers.put))
        requests.put_nowait({"type": "lifespan.startup"})
        started = await answers.get()
    finally:
        threading.settrace(None)
    if started["type"] != "lifespan.startup.complete":
        raise RuntimeError(f"the application did not start: {started}")
    settings = Config(
        _Layer(application), interface="asgi3", lifespan="off", access_log=False, log_config=None
    )
    settings.load()
    loop, bodies = asyncio.get_running_loop(), workload.bodies()
    callers = [
        _Client(DirectProtocol(settings, ServerState(), {}, loop), rank_request("127.0.0.1", body))
        for body in bodies[:clients]
    ]
    async with asyncio.timeout(_LIMIT_S):
        await _answered(callers, _WARM_ANSWERS)
        tracer.clear()
        before = sum(caller.answers for caller in callers)
        sys.settrace(tracer.trace)
        await _answered(callers, before + _COUNTED_ANSWERS)
        sys.settrace(None)
    number = sum(caller.answers for caller in callers) - before
    result = {role: tracer.functions(name, number) for name, role in _THREADS.items()}
    for caller in callers:
        caller.stopped = True
    requests.put_nowait({"type": "lifespan.shutdown"})
    await lifespan
    return Counted(workload.name, clients, number, result)


async def _answered(callers: list[_Client], count: int) -> None:
    while sum(caller.answers for caller in callers) < count:
        await asyncio.sleep(_THINKING_S)


def as_text(counted: Counted) -> str:
    """Return the functions that execute most on each thread, as text."""
    lines = [f"{counted.workload}, clients {counted.clients}: Python instructions per request"]
    for thread, functions in counted.threads.items():
        total = sum(function.instructions for function in functions)
        calls = sum(function.calls for function in functions)
        lines.append(f"  {thread}: {total:,.0f} in {calls:.1f} calls")
        lines += [
            f"    {each.instructions:8.1f} {each.calls:7.2f} calls  {each.name}  {each.file}"
            for each in functions[:_SHOWN]
        ]
    return "\n".join(lines) + "\n"
