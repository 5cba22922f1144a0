import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.ask.client import Client
from services.errors import RequestError, ServiceError

CONFIG = Path("shop.yaml")


@contextmanager
def server_that_sends(data: bytes) -> Iterator[int]:
    """Yield the port of a server that answers one request with these bytes, and then closes the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(data)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        thread.join(20)
        listener.close()


def http_answer(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no service answers at .*; start it with `rankway serve shop.yaml`"),
        (b"SSH-2.0-OpenSSH\r\n", "no service answers at"),
        (http_answer("200 OK", b"<html>"), "did not answer like a service of Rankway"),
        (http_answer("200 OK", b"[]"), "did not answer like a service of Rankway"),
        (http_answer("200 OK", b"{}"), "did not answer like a service of Rankway"),
        (
            http_answer("200 OK", b'{"request_id": "1", "items": ["a"]}'),
            "did not answer like a service of Rankway",
        ),
        (http_answer("200 OK", b"\xff"), "did not answer like a service of Rankway"),
        (http_answer("503 Unavailable", b'{"detail": "starting"}'), "status 503: starting"),
        (http_answer("429 Too Many", b'{"detail": "full"}'), "status 429: full"),
    ],
)
def test_reports_what_is_no_answer(data: bytes, message: str) -> None:
    with (
        server_that_sends(data) as port,
        Client("127.0.0.1", port, CONFIG) as client,
        pytest.raises(ServiceError, match=message) as error,
    ):
        client.rank({"user_id": "u1"})
    assert not isinstance(error.value, RequestError)


def test_a_refused_request_is_the_callers_error() -> None:
    body = b'{"title": "Unprocessable request", "detail": "k: must be at least 1"}'
    with (
        server_that_sends(http_answer("422 Unprocessable", body)) as port,
        Client("127.0.0.1", port, CONFIG) as client,
        pytest.raises(RequestError, match=r"^k: must be at least 1$"),
    ):
        client.rank({"user_id": "u1"})


def test_a_host_that_is_no_address_is_reported() -> None:
    with pytest.raises(ServiceError, match="no service answers at http://a b:8000"):
        Client("a b", 8000, CONFIG)
