"""Ranking requests that skip ASGI: the bytes that reach the client, over real sockets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch
from services.app import StandaloneApp
from services.ingress.asgi import Headers, Receive, Scope, Send
from services.ingress.direct import DirectAnswer, DirectCycle, DirectProtocol, find_direct
from tests.pipelines import make_pipeline
from tests.services.bad_input import BAD_BODIES, GOOD, MEBIBYTE
from tests.services.servers import LIMIT_S, Connection, Reply, http_request, http_server, rank_request

_BODY = b'{"user_id": "u1", "k": 2}'
_VARYING = ("date", "x-request-id")


class Gate:
    """A first stage that may block the model thread."""

    name = "gate"

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        self.entered.set()
        assert self.open.wait(LIMIT_S)
        return batch


class Service:
    """A pipeline with a direct way, which counts the requests on both ways."""

    def __init__(self, config: Path) -> None:
        self.gate = Gate()
        self.app = StandaloneApp(config, config.parent, first_stages=[self.gate])
        self.asgi: list[str] = []
        self.direct = 0
        self.abandoned: list[Callable[[], bool]] = []
        self.answered = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asgi.append(scope["path"])
        await self.app(scope, receive, send)

    def direct_target(self) -> DirectAnswer:
        return self._answer

    def _answer(self, headers: Headers, body: bytes, cycle: DirectCycle) -> None:
        self.direct += 1
        self.abandoned.append(cycle.is_abandoned)
        assert self.app.rank_app is not None
        cycle.on_finish = self.answered.set
        self.app.rank_app.direct(headers, body, cycle)


@contextmanager
def served(config: Path) -> Iterator[tuple[Service, int]]:
    service = Service(config)
    with http_server(service, DirectProtocol) as port:
        yield service, port


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, int]]:
    with served(make_pipeline(tmp_path_factory.mktemp("direct"))) as running:
        yield running


def content(reply: Reply) -> tuple[int, dict[str, str], Any]:
    """Return what does not vary between two answers to one request."""
    headers = {name: value for name, value in reply.headers.items() if name not in _VARYING}
    document = reply.json
    for name in ("request_id", "instance", "timings_ms"):
        document.pop(name, None)
    headers.pop("content-length")
    return reply.status, headers, document


def both_ways(port: int, body: bytes) -> tuple[Reply, Reply]:
    """Send a request directly, and again with ``Expect``, which takes the way through ASGI."""
    with Connection(port) as connection:
        direct = connection.ask(rank_request(body, {"x-request-id": "a"}))
    with Connection(port) as connection:
        connection.send(rank_request(body, {"x-request-id": "a", "expect": "100-continue"}))
        assert connection.reply().status == 100
        return direct, connection.reply()


def test_answer_is_that_of_the_way_through_asgi(running: tuple[Service, int]) -> None:
    service, port = running
    before = service.direct, len(service.asgi)
    direct, asgi = both_ways(port, _BODY)
    assert (service.direct, len(service.asgi)) == (before[0] + 1, before[1] + 1)
    assert content(direct) == content(asgi)
    assert direct.headers["x-request-id"] == "a"
    assert int(direct.headers["content-length"]) == len(direct.body)
    assert {"date", "server"} <= direct.headers.keys()


@pytest.mark.parametrize("body", [body for body in BAD_BODIES if len(body) < 4096])
def test_bad_body_gets_the_same_problem(running: tuple[Service, int], body: bytes) -> None:
    direct, asgi = both_ways(running[1], body)
    assert content(direct) == content(asgi)
    assert direct.status in (400, 422)


def test_requests_on_one_connection_are_answered_in_turn(running: tuple[Service, int]) -> None:
    service, port = running
    before = service.direct
    with Connection(port) as connection:
        for index in range(3):
            assert (
                connection.ask(rank_request(_BODY, {"x-request-id": f"r{index}"})).json["request_id"]
                == f"r{index}"
            )
            assert connection.ask(http_request("GET", "/healthz")).status == 200
    assert service.direct == before + 3


@pytest.mark.parametrize(
    "request_bytes",
    [
        http_request("GET", "/v1/rank"),
        http_request("POST", "/v1/rank?a=b", _BODY),
        http_request("POST", "/v1/items/item-1", _BODY),
        rank_request(_BODY, {"connection": "upgrade", "upgrade": "h2c"}),
    ],
)
def test_other_requests_take_the_way_through_asgi(running: tuple[Service, int], request_bytes: bytes) -> None:
    service, port = running
    before = service.direct
    with Connection(port) as connection:
        assert connection.ask(request_bytes).status in (200, 400, 405)  # uvicorn drops the body of an upgrade
    assert service.direct == before


def test_connection_closes_if_the_client_asks_for_it(running: tuple[Service, int]) -> None:
    _, port = running
    with Connection(port) as connection:
        reply = connection.ask(rank_request(_BODY, {"connection": "close"}))
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert connection.socket.recv(1) == b""
    with Connection(port) as connection:
        connection.send(rank_request(_BODY).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert connection.reply().status == 200
        assert connection.socket.recv(1) == b""


def test_body_above_the_limit_is_refused(tmp_path: Path) -> None:
    config = make_pipeline(tmp_path, {"requests": {"max_body_bytes": 1024}})
    with served(config) as (service, port), Connection(port) as connection:
        reply = connection.ask(rank_request({"user_id": "u1", "context": {"x": "y" * 1024}}))
        assert (reply.status, reply.json["field"]) == (413, "body")
        assert connection.ask(rank_request(_BODY)).status == 200
        assert service.direct == 2


def test_long_body_takes_the_way_through_asgi(running: tuple[Service, int]) -> None:
    service, port = running
    before = service.direct
    with Connection(port) as connection:
        request = rank_request(b" " * MEBIBYTE + _BODY)
        assert connection.ask(request).status in (200, 413)
    assert service.direct == before


def test_client_that_leaves_abandons_its_request(tmp_path: Path) -> None:
    with served(make_pipeline(tmp_path)) as (service, port):
        with Connection(port) as connection:
            assert connection.ask(rank_request(_BODY)).status == 200
            service.answered.clear()
            service.gate.entered.clear()
            service.gate.open.clear()
            connection.send(rank_request(_BODY))
            assert service.gate.entered.wait(LIMIT_S)
            assert not service.abandoned[-1]()
        with Connection(port) as other:
            other.send(http_request("GET", "/healthz"))
            assert (
                other.reply().status == 200
            )  # the loop has seen the closed connection before or with this request
        service.gate.open.set()
        assert service.answered.wait(LIMIT_S)
        with Connection(port) as connection:
            assert connection.ask(rank_request(GOOD)).status == 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["rank", "rank", "bad", "health", "chunked"]), min_size=1, max_size=5),
    st.lists(st.integers(1, 60), max_size=12),
)
def test_requests_in_any_pieces_are_answered_in_order(
    running: tuple[Service, int], kinds: list[str], sizes: list[int]
) -> None:
    """Requests are pipelined, and cut anywhere."""
    data = {
        "rank": rank_request(_BODY, {"x-request-id": "a"}),
        "bad": rank_request(b"{", {"x-request-id": "a"}),
        "health": http_request("GET", "/healthz"),
        "chunked": http_request(
            "POST",
            "/v1/rank",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY),
            {"transfer-encoding": "chunked"},
        ),
    }
    expected = {"rank": 200, "bad": 400, "health": 200, "chunked": 200}
    with Connection(running[1]) as connection:
        whole = b"".join(data[kind] for kind in kinds)
        for size in sizes:
            connection.send(whole[:size])
            whole = whole[size:]
        connection.send(whole)
        assert [connection.reply().status for _ in kinds] == [expected[kind] for kind in kinds]


def test_an_application_without_a_direct_way_has_none() -> None:
    class Layer:
        def __init__(self, app: Any) -> None:
            self.app = app

    assert find_direct(Layer(Layer(object()))) is None
    endless = Layer(None)
    endless.app = endless
    assert find_direct(endless) is None
