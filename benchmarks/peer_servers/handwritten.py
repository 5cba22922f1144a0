"""The hand-written application: what a strong engineer writes in an afternoon, without a serving framework.

Each process has uvicorn with uvloop and httptools, a plain ASGI application, and one model thread. The thread takes all
waiting requests, up to a limit, and runs them as one batch. All processes listen on one port (SO_REUSEPORT). With
HAProxy, each process has its own port, and HAProxy distributes the requests.

It has no deadlines, no limits, no degradation, no metrics, no releases and no reloading. So it shows the speed that is
possible on the machine, and is no replacement for a service.
"""

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from benchmarks.cases.workers import shared_listener, supervise
from benchmarks.harness.servers import free_port
from benchmarks.peer_servers.haproxy import haproxy_config
from benchmarks.peer_servers.options import PeerOptions
from benchmarks.peer_servers.work.answers import RankRequest, Work
from benchmarks.peer_servers.work.workloads import open_work

_PORT = "RANKWAY_PEER_PORT"
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
_Waiting = tuple[RankRequest, "asyncio.Future[bytes]"]


class Batcher:
    """Runs waiting requests as batches on one thread."""

    def __init__(self, work: Work, most: int, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread. A batch has at most ``most`` requests."""
        self._work, self._most, self._loop = work, most, loop
        self._waiting: list[_Waiting] = []
        self._filled = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, request: RankRequest) -> "asyncio.Future[bytes]":
        """Add a request, and return the future of its answer."""
        future: asyncio.Future[bytes] = self._loop.create_future()
        with self._filled:
            self._waiting.append((request, future))
            self._filled.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._filled:
                while not self._waiting:
                    self._filled.wait()
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers: Sequence[bytes | Exception] = self._work.rank([request for request, _ in batch])
            except Exception as error:
                answers = [error] * len(batch)
            self._loop.call_soon_threadsafe(_finish, batch, answers)


def _finish(batch: Sequence[_Waiting], answers: Sequence[bytes | Exception]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():  # its client has left
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


class Application:
    """The ASGI application: ``POST /v1/rank``. Any other path is the health check."""

    def __init__(self, work: Work, most: int) -> None:
        """Answer with ``work``, in batches of at most ``most`` requests."""
        self._work, self._most = work, most
        self._batcher: Batcher | None = None
        self._decode = msgspec.json.Decoder(RankRequest).decode

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["path"] != "/v1/rank":
            await _answer(send, 200, b"{}")
            return
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        try:
            request = self._decode(body)
        except msgspec.DecodeError as error:
            await _answer(send, 400, msgspec.json.encode({"error": str(error)}))
            return
        if self._batcher is None:
            self._batcher = Batcher(self._work, self._most, asyncio.get_running_loop())
        await _answer(send, 200, await self._batcher.put(request))


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _serve(options: PeerOptions, port: int) -> None:
    listener = shared_listener(port)
    application: Any = Application(open_work(options), options.settings.batch)
    gc.collect()
    gc.freeze()  # the collector need not visit the model's and the modules' objects again
    settings = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=2048,
        date_header=False,
        server_header=False,
    )
    uvicorn.Server(settings).run(sockets=[listener])


def _supervise(options: PeerOptions, folder: Path) -> int:
    workers = options.settings.workers
    ports = [free_port() if options.haproxy else options.port for _ in range(workers)]
    command = [sys.executable, "-m", "benchmarks.peer_servers.handwritten"]
    children = [subprocess.Popen(command, env={**os.environ, _PORT: str(port)}) for port in ports]
    if options.haproxy:
        config = folder / "haproxy.cfg"
        config.write_text(haproxy_config(options.port, ports))
        children.append(subprocess.Popen([options.haproxy, "-db", "-f", str(config)]))
    return supervise(children)


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    options = PeerOptions.read()
    if _PORT in os.environ:
        _serve(options, int(os.environ[_PORT]))
        return 0
    with tempfile.TemporaryDirectory(prefix="rankway-peer-") as folder:
        return _supervise(options, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
