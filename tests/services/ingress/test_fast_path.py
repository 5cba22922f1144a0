import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.middleware import Middleware
from uvicorn.protocols.http import auto

from services.errors import ServiceError
from services.ingress import fast_path
from services.ingress.asgi import FAST_PATH, Exchange, Headers, Message, Receive, Response, Scope, Send
from services.ingress.direct import DirectCycle, DirectProtocol
from services.ingress.fast_path import FastPath, find_target, middlewares
from services.ingress.http import RankApp


class App(RankApp):
    """An application that records its requests, and may fail."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.scopes: list[Scope] = []
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if self.failure is not None:
            raise self.failure
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def refuse(self, scope: Scope, send: Send, error: ServiceError) -> None:
        await send({"type": "http.response.start", "status": error.status, "error": error})

    def direct(self, headers: Headers, body: bytes, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def refused(self, headers: Headers, error: ServiceError) -> Response:
        return Response(error.status, [], b"")


class Counter:
    """A replica's in-flight counter, under Ray 2.60's names."""

    def __init__(self) -> None:
        self.ongoing = 0
        self.entered = 0

    def inc_num_ongoing_requests(self, metadata: Any) -> None:
        assert metadata.is_direct_ingress
        self.ongoing += 1
        self.entered += 1

    def dec_num_ongoing_requests(self, metadata: Any) -> None:
        self.ongoing -= 1

    def get_num_ongoing_requests(self) -> int:
        return self.ongoing


class Replica:
    """The parts of Ray's replica that the fast path needs, and Serve's own path to it."""

    def __init__(self, app: Any, counter: Any, limit: int = 2) -> None:
        self._user_callable_asgi_app = app
        self._metrics_manager = counter
        self._deployment_id = type("DeploymentID", (), {"app_name": "small"})()
        self._deployment_config = type("Config", (), {"max_ongoing_requests": limit})()
        self.served: list[str] = []

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.served.append(scope.get("path", scope["type"]))
        await send({"type": "http.response.start", "status": 299, "headers": []})


class Layer:
    """Serve's middleware around its replica."""

    def __init__(self, app: Any, name: str) -> None:
        self._inner = app
        setattr(self, name, app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._inner(scope, receive, send)


def ask(path: FastPath, where: str = "/v1/rank", kind: str = "http") -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read here")

    asyncio.run(path({"type": kind, "path": where}, receive, send))
    return sent


def wrapped(replica: Replica) -> FastPath:
    return FastPath(Layer(Layer(replica.serve, "_app"), "app"))


def test_requests_bypass_serve_and_are_counted_as_in_flight() -> None:
    app, counter = App(), Counter()
    replica = Replica(app, counter)
    path = wrapped(replica)
    for _ in range(3):
        assert ask(path)[0]["status"] == 200
    assert (counter.entered, counter.ongoing, replica.served) == (3, 0, [])
    assert all(FAST_PATH in scope for scope in app.scopes)


def test_routes_of_serve_and_other_protocols_stay_with_serve() -> None:
    app, counter = App(), Counter()
    replica = Replica(app, counter)
    path = wrapped(replica)
    for where, kind in (("/-/healthz", "http"), ("/-/routes", "http"), ("/v1/stream", "websocket")):
        assert ask(path, where, kind)[0]["status"] == 299
    assert (replica.served, counter.entered) == (["/-/healthz", "/-/routes", "/v1/stream"], 0)


@pytest.mark.parametrize("failure", [ValueError("bug"), asyncio.CancelledError(), KeyboardInterrupt()])
def test_failed_or_cancelled_request_is_no_longer_in_flight(failure: BaseException) -> None:
    counter = Counter()
    path = wrapped(Replica(App(failure), counter))
    with pytest.raises(type(failure)):
        ask(path)
    assert (counter.entered, counter.ongoing) == (1, 0)


def test_full_replica_refuses_at_once() -> None:
    app, counter = App(), Counter()
    path = wrapped(Replica(app, counter, limit=2))
    ask(path)
    counter.ongoing = 2
    (start,) = ask(path)
    assert (start["status"], start["error"].retry_after_s) == (429, 1)
    assert (counter.ongoing, len(app.scopes)) == (2, 1)


class Connection:
    """The part of a connection that a request needs to be answered."""

    def __init__(self) -> None:
        self.sent: list[Response] = []

    def send(self, response: Response, *, keep_alive: bool) -> None:
        self.sent.append(response)


def ask_directly(path: FastPath) -> Connection:
    direct, connection = path.direct_target(), Connection()
    assert direct is not None
    direct([], b"body", DirectCycle(connection, keep_alive=True))  # type: ignore[arg-type]
    return connection


def test_direct_requests_are_counted_until_they_are_finished_and_refused_if_the_replica_is_full() -> None:
    app, counter = App(), Counter()
    path = wrapped(Replica(app, counter, limit=1))
    waiting = ask_directly(path)
    assert counter.ongoing == 1
    assert ask_directly(path).sent == [(429, [], b"")]
    assert waiting.sent == []
    app.exchanges[0].finish(Response(200, [], b"answer"))
    assert waiting.sent == [(200, [], b"answer")]
    assert (counter.ongoing, counter.entered) == (0, 1)


def test_direct_request_of_a_client_that_has_left_is_finished_without_an_answer() -> None:
    app, counter = App(), Counter()
    path = wrapped(Replica(app, counter))
    connection = ask_directly(path)
    app.exchanges[0].finish(None)
    assert (connection.sent, counter.ongoing) == ([], 0)


def test_there_is_no_direct_way_around_the_proxy_of_serve() -> None:
    assert wrapped(Replica(object(), Counter())).direct_target() is None


def without(name: str) -> type:
    """Return a counter class that lacks one of the methods, as another Ray version might."""
    return type("Other", (), {k: v for k, v in vars(Counter).items() if k != name})


@pytest.mark.parametrize(
    "name", ["inc_num_ongoing_requests", "dec_num_ongoing_requests", "get_num_ongoing_requests"]
)
def test_requests_take_path_of_serve_if_the_counter_is_missing(name: str) -> None:
    app = App()
    replica = Replica(app, without(name)())
    path = wrapped(replica)
    assert ask(path)[0]["status"] == 299
    assert ask(path)[0]["status"] == 299
    assert (replica.served, app.scopes) == (["/v1/rank", "/v1/rank"], [])


@pytest.mark.parametrize("attribute", ["_metrics_manager", "_deployment_id", "_deployment_config"])
def test_requests_take_path_of_serve_if_the_replica_differs(attribute: str) -> None:
    replica = Replica(App(), Counter())
    delattr(replica, attribute)
    assert find_target(replica.serve) is None
    assert ask(wrapped(replica))[0]["status"] == 299


def test_ignores_other_applications_and_the_proxy_of_serve() -> None:
    foreign = Replica(object(), Counter())
    assert ask(wrapped(foreign))[0]["status"] == 299

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 298, "headers": []})

    unknown: Callable[..., Awaitable[None]] = proxy
    assert ask(FastPath(unknown))[0]["status"] == 298


def test_stops_at_middleware_layers_that_form_a_circle() -> None:
    ring = Layer(None, "app")
    ring.app = ring  # type: ignore[attr-defined]
    assert find_target(ring) is None


def test_setting_names_the_function_that_returns_the_middleware(monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, name = fast_path.IMPORT_PATH.partition(":")
    assert (module, getattr(fast_path, name)) == (fast_path.__name__, middlewares)
    monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)
    assert [type(each) for each in middlewares()] == [Middleware]
    assert "FastPath" in repr(middlewares()[0])
    assert auto.AutoHTTPProtocol is DirectProtocol
