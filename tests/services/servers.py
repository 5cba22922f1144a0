"""A real HTTP server in a thread, and a small client that sends bytes unchanged, for odd input."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT_S = 20.0


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The JSON document in the body."""
        return json.loads(self.body)


class _Server(uvicorn.Server):
    """Signals when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def http_server(app: Any, protocol: type[HttpToolsProtocol] = HttpToolsProtocol) -> Iterator[int]:
    """Serve an ASGI application on a free loopback port. Yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, lifespan="on", http=protocol, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        assert server.listening.wait(LIMIT_S), "the server did not start"
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


class Connection:
    """One TCP connection to a server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes unchanged."""
        self.socket.sendall(data)

    def reply(self, *, to_head: bool = False) -> Reply:
        """Read one answer."""
        line = self._reader.readline()
        assert line, "the server closed the connection without an answer"
        headers: dict[str, str] = {}
        while (header := self._reader.readline().strip()) != b"":
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = 0 if to_head else int(headers.get("content-length", 0))
        return Reply(int(line.split()[1]), headers, self._reader.read(length))

    def ask(self, data: bytes) -> Reply:
        """Send a request and read the answer. The server may answer, and a proxy may hang up, before all is sent."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.send(data)
        return self.reply()


def http_request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str | bytes] | None = None
) -> bytes:
    """Return a request's bytes. Its body has a content-length unless the headers differ."""
    sent_headers = dict(headers or {})
    if body and not {"content-length", "transfer-encoding"} & sent_headers.keys():
        sent_headers["content-length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1".encode("latin-1"), b"host: test"]
    for name, value in sent_headers.items():
        lines.append(name.encode() + b": " + (value.encode("latin-1") if isinstance(value, str) else value))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def rank_request(
    document: Mapping[str, Any] | bytes, headers: Mapping[str, str | bytes] | None = None
) -> bytes:
    """Return the bytes of a POST /v1/rank."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return http_request("POST", "/v1/rank", body, headers)


def ask(port: int, data: bytes) -> Reply:
    """Send one request on a new connection."""
    with Connection(port) as connection:
        return connection.ask(data)
