"""One keep-alive HTTP/1.1 connection with one request in flight, as light as Python allows.

Requests are prepared as bytes. Only a response's status and length are read.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

OnAnswer = Callable[["Connection", int], None]
OnLost = Callable[["Connection", bool], None]
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


def http_request(
    host: str, path: str, body: bytes | None = None, content_type: str = "application/json"
) -> bytes:
    """Return a keep-alive request as bytes: POST with a body, GET without."""
    method = "GET" if body is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
    if body is None:
        return (head + "\r\n").encode()
    return (head + f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def health_request(host: str) -> bytes:
    """Return a cheap request as bytes, for a connection that must stay open until its load begins."""
    return http_request(host, "/healthz")


class Connection(asyncio.Protocol):
    """Sends one request at a time and reports each answer's status.

    Attributes:
        busy: whether a request is in flight.
        started_s: the time from which the last request's latency counts.
        answer: the last answer, head and body.
    """

    def __init__(self, on_answer: OnAnswer, on_lost: OnLost) -> None:
        """Set the callbacks.

        Args:
            on_answer: called with the connection and the status once the whole answer has arrived.
            on_lost: called with the connection and whether a request was in flight when it closed.
        """
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parts = b""
        self.busy = False
        self.started_s = 0.0
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, started_s: float) -> None:
        """Send a request. Its latency counts from ``started_s``."""
        assert self._transport is not None
        self.busy = True
        self.started_s = started_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer, then report its status."""
        if self._parts:
            data = self._parts + data
        size = answer_size(data)
        if size is None or len(data) < size:
            self._parts = data
            return
        self._parts = b""
        self.busy = False
        self.answer = data
        self._on_answer(self, int(data[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the loss."""
        self._transport = None
        self._on_lost(self, self.busy)

    @property
    def closed(self) -> bool:
        """Whether the connection was open and has closed."""
        return self._transport is None

    @property
    def is_last(self) -> bool:
        """Whether the last answer announced that the server takes no further request on this connection."""
        head = self.answer[: self.answer.find(_HEAD_END)]
        return b"onnection: close" in head

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._transport is not None:
            self._transport.close()


def answer_size(data: bytes) -> int | None:
    """Return the size of the answer at the start of ``data``, or None while it is unknown.

    Raises:
        ValueError: the answer has neither a Content-Length nor a chunked encoding.
    """
    head_size = data.find(_HEAD_END)
    if head_size < 0:
        return None
    # Servers and HAProxy write lower case. The copy is made only for other servers.
    head = data[:head_size]
    start = head.find(_LENGTH)
    if start < 0:
        head = head.lower()
        start = head.find(_LENGTH)
    if start >= 0:
        end = head.find(b"\r\n", start)
        return head_size + 4 + int(head[start + len(_LENGTH) : end if end >= 0 else head_size])
    if b"transfer-encoding: chunked" in head:
        return len(data) if data.endswith(b"0\r\n\r\n") else None
    raise ValueError(f"an answer has an unknown length: {head[:200]!r}")


async def connect(
    host: str, port: int, count: int, on_answer: OnAnswer, on_lost: OnLost
) -> Sequence[Connection]:
    """Open ``count`` connections, 64 at a time, so that no listen queue overflows."""
    loop = asyncio.get_running_loop()
    opened: list[Connection] = []
    while len(opened) < count:
        pending = [
            loop.create_connection(lambda: Connection(on_answer, on_lost), host, port)
            for _ in range(min(64, count - len(opened)))
        ]
        opened += [protocol for _, protocol in await asyncio.gather(*pending)]
    return opened
