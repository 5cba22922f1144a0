"""HAProxy closes the connections of silent clients, and no others.

The installed Ray renders the timeouts from our settings. Tests of the behaviour shorten both timeouts, so that they
need not wait for the shipped ones.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.deployment.ray_settings import CLIENT_SILENCE_LIMIT_S, REQUEST_HEAD_LIMIT_S
from services.ingress.asgi import Receive, Scope, Send
from tests.services.processes import free_port
from tests.services.proxies import faults_of, proxy, rendered
from tests.services.servers import Connection, http_request, http_server

SHORT_S = 0.6
SLOW_ANSWER_S = 2 * SHORT_S
LIMIT_S = 10.0
HEAD, CLIENT = (
    f"timeout http-request {REQUEST_HEAD_LIMIT_S}s",
    f"timeout client {CLIENT_SILENCE_LIMIT_S}s",
)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body. The path /slow takes longer than HAProxy lets a client be silent."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(SLOW_ANSWER_S)
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module", name="config")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    with http_server(echo) as replica:
        port = free_port()
        yield rendered(tmp_path_factory.mktemp("proxy"), port, replica), port


@pytest.fixture(scope="module", name="port")
def _port(config: tuple[Path, int]) -> Iterator[int]:
    """Run HAProxy with the shipped configuration, but with both timeouts shortened."""
    path, port = config
    text = path.read_text()
    for timeout in (HEAD, CLIENT):
        assert timeout in text
        text = text.replace(timeout, f"{timeout.rpartition(' ')[0]} {SHORT_S * 1000:.0f}ms")
    short = path.with_name("short.cfg")
    short.write_text(text)
    with proxy(short, port):
        yield port


def test_installed_ray_renders_both_timeouts_for_all_frontends(config: tuple[Path, int]) -> None:
    path, _ = config
    sections = path.read_text().split("\ndefaults\n")
    assert len(sections) == 2, "Ray's template has no single section `defaults`"
    defaults = [line.strip() for line in sections[1].split("\nfrontend ")[0].splitlines()]
    assert [line for line in defaults if line.startswith("timeout http-request")] == [HEAD]
    assert [line for line in defaults if line.startswith("timeout client")] == [CLIENT]
    assert [line for line in defaults if line.startswith("balance")] == ["balance leastconn"]
    assert "option http-ignore-probes" in defaults
    assert "timeout http-request" not in path.read_text().replace(HEAD, "", 1)
    assert faults_of(path) == ""


def test_closes_preconnected_connection_without_an_answer(port: int) -> None:
    with Connection(port) as connection:
        connection.socket.settimeout(LIMIT_S)
        assert connection.socket.recv(1) == b""


@pytest.mark.parametrize("sent", [b"P", b"POST / HTTP/1.1\r\nhost: t"])
def test_closes_connection_whose_head_does_not_end(port: int, sent: bytes) -> None:
    began_s = time.monotonic()
    with Connection(port) as connection:
        connection.send(sent)
        assert connection.reply().status == 408
        assert connection.socket.recv(1) == b""
    assert time.monotonic() - began_s < LIMIT_S


def test_closes_connection_whose_head_arrives_too_slowly(port: int) -> None:
    began_s = time.monotonic()
    with Connection(port) as connection:
        connection.socket.settimeout(0.2 * SHORT_S)
        for letter in b"POST / HTTP/1.1\r\nx-long: " + b"a" * 100:
            connection.send(bytes([letter]))
            try:
                answer = connection.socket.recv(64)
            except TimeoutError:
                continue  # not closed yet
            assert answer.startswith(b"HTTP/1.1 408 ")
            break
        assert time.monotonic() - began_s < LIMIT_S


def test_answer_may_take_longer_than_the_client_timeout(port: int) -> None:
    with Connection(port) as connection:
        reply = connection.ask(http_request("POST", "/slow", b"body"))
        assert (reply.status, reply.body) == (200, b"body")


def test_keeps_idle_connection_and_limits_the_time_of_its_next_head(port: int) -> None:
    with Connection(port) as connection:
        assert connection.ask(http_request("GET", "/")).status == 200
        connection.socket.settimeout(SLOW_ANSWER_S)
        with pytest.raises(TimeoutError):  # neither closed nor answered
            connection.socket.recv(1)
    with Connection(port) as connection:
        assert connection.ask(http_request("GET", "/")).status == 200
        connection.send(b"GET / HT")
        assert connection.reply().status == 408


def test_accepts_a_slow_body_but_not_a_stalled_one(port: int) -> None:
    head = http_request("POST", "/", b"", {"content-length": "6"})
    with Connection(port) as connection:
        connection.send(head)
        for letter in b"abcdef":
            time.sleep(0.3 * SHORT_S)  # the whole body takes longer than either timeout
            connection.send(bytes([letter]))
        assert connection.reply().body == b"abcdef"
    with Connection(port) as connection:
        connection.send(head + b"abc")
        began_s = time.monotonic()
        assert connection.reply().status == 400  # a shipped replica answers earlier, with 408
        assert time.monotonic() - began_s < LIMIT_S


def test_closes_connection_of_a_client_that_does_not_read(port: int) -> None:
    with Connection(port) as connection:
        body = b"x" * 50_000_000
        connection.socket.settimeout(LIMIT_S)
        with pytest.raises((ConnectionError, BrokenPipeError)):
            while True:  # send, and never read the answers
                connection.send(http_request("POST", "/", body))
