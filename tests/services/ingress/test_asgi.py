"""Answers behind a real HTTP server: the bytes that reach the client, and the number of writes."""

import asyncio
from typing import Any

from services.ingress.asgi import Message, Receive, Scope, Send, request_cycle, send_at_once
from tests.services.servers import Connection, ask, http_request, http_server

BODY = b'{"items":[]}'


class Answering:
    """Answers with ``send_at_once``, and counts the writes to the connection below."""

    def __init__(self, length: int = len(BODY)) -> None:
        self.writes: list[bytes] = []
        self.length = length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        cycle = request_cycle(send)
        assert cycle is not None
        cycle.transport = Counted(cycle.transport, self.writes)
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"%d" % self.length)],
        }
        await send_at_once(send, start, {"type": "http.response.body", "body": BODY})


class Counted:
    """A transport that records all writes."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()


def test_sends_head_and_body_in_one_write() -> None:
    app = Answering()
    with http_server(app) as port, Connection(port) as connection:
        for _ in range(2):
            assert connection.ask(http_request("GET", "/")).body == BODY
    assert [data.partition(b"\r\n\r\n")[2] for data in app.writes] == [BODY, BODY]


def test_answers_before_it_closes_a_connection() -> None:
    app = Answering()
    with http_server(app) as port:
        reply = ask(port, http_request("GET", "/", headers={"connection": "close"}))
    assert (reply.body, reply.headers["connection"]) == (BODY, "close")
    assert len(app.writes) == 1


def test_answers_head_request_with_headers_only() -> None:
    app = Answering()
    with http_server(app) as port, Connection(port) as connection:
        connection.send(http_request("HEAD", "/"))
        assert connection.reply(to_head=True).headers["content-length"] == str(len(BODY))
        assert connection.ask(http_request("GET", "/")).body == BODY
    assert len(app.writes) == 2


def test_closes_connection_if_server_rejects_the_answer() -> None:
    with http_server(Answering(length=len(BODY) - 1)) as port, Connection(port) as connection:
        connection.send(http_request("GET", "/"))
        head = connection.socket.recv(4096)
        assert head.endswith(b"\r\n\r\n")
        assert connection.socket.recv(4096) == b""


def test_sends_both_messages_behind_a_server_other_than_uvicorn() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    start, body = {"type": "http.response.start", "status": 200}, {"type": "http.response.body", "body": BODY}
    asyncio.run(send_at_once(send, start, body))
    assert sent == [start, body]
