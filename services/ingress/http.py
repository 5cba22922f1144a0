"""The HTTP application in raw ASGI. The same object runs behind Serve, behind its fast path and on a plain server.

The routes are in ``services.ingress.handlers``.
"""

import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Iterable
from functools import partial
from types import MethodType

from services.errors import BodyTooSlow, MethodNotAllowed, ServiceError
from services.ingress.asgi import Exchange, Headers, Receive, Response, Scope, Send, send_at_once
from services.ingress.body import Disconnected
from services.ingress.engine import Engine
from services.ingress.handlers import RANK, ROUTES, Handlers
from services.ingress.ranking import Outcome
from services.ingress.routes import Answer, Reply, Route, RouteTable

_PROBLEM = b"application/problem+json"
_REQUEST_ID = b"x-request-id"
_MAX_REQUEST_ID_BYTES = 128
logger = logging.getLogger("ray.serve")


class RankApp:
    """One ingress replica's application object."""

    def __init__(self, engine: Engine) -> None:
        """Answer requests with ``engine``."""
        self.engine = engine
        self._metrics = engine.request_metrics
        self._handlers = Handlers(engine)
        self._routes = RouteTable(ROUTES, self._bound)
        self._id_prefix = secrets.token_hex(6)
        self._id_counter = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        started_s = time.perf_counter()
        request_id = self._request_id(scope["headers"])
        try:
            endpoint = self._routes.find(scope)
        except ServiceError as error:
            response: Response | None = self._refused(
                error, self._routes.label(scope), request_id, started_s, scope
            )
        else:
            answer = endpoint.answer(scope, receive, request_id)
            response = await self._response(answer, endpoint.label, request_id, started_s)
        if response is not None:
            await _send(send, response)

    def direct(self, headers: Headers, body: bytes, exchange: Exchange) -> None:
        """Answer a request for a ranking whose body is complete, now or later."""
        started_s = time.perf_counter()
        request_id = self._request_id(headers)
        done = partial(self._finish, exchange, request_id, started_s)
        try:
            self._handlers.ranking.begin(body, request_id, exchange.is_abandoned, done)
        except Exception as error:
            done(error)

    async def refuse(self, scope: Scope, send: Send, error: ServiceError) -> None:
        """Answer an HTTP request with ``error``, without reading its body."""
        label, request_id = self._routes.label(scope), self._request_id(scope["headers"])
        await _send(send, self._refused(error, label, request_id, time.perf_counter(), scope))

    def refused(self, headers: Headers, error: ServiceError) -> Response:
        """Return the answer to a request for a ranking that is refused with ``error``."""
        return self._refused(error, RANK, self._request_id(headers), time.perf_counter())

    async def _response(
        self, answer: Awaitable[Reply], label: str, request_id: str, started_s: float
    ) -> Response | None:
        """Wait for the answer. None if the client has left."""
        outcome: Outcome
        try:
            outcome = await answer
        except Exception as error:
            outcome = error
        return self._counted(outcome, label, request_id, started_s)

    def _finish(self, exchange: Exchange, request_id: str, started_s: float, outcome: Outcome) -> None:
        try:
            exchange.finish(self._counted(outcome, RANK, request_id, started_s))
        except Exception:  # the other requests of the batch must get their answers
            logger.exception("the answer to request %s cannot be sent", request_id)

    def _counted(self, outcome: Outcome, label: str, request_id: str, started_s: float) -> Response | None:
        """Count the outcome of a request, and return the answer. None if the client has left."""
        if isinstance(outcome, tuple):
            status, content_type, body, degraded = outcome
            self._metrics.answered(status, (time.perf_counter() - started_s) * 1e3, label, degraded)
            return Response(status, _headers(content_type, body, request_id), body)
        if isinstance(outcome, Disconnected):
            return None
        if not isinstance(
            outcome, ServiceError
        ):  # a bug: the caller gets a problem, and the log the traceback
            logger.error("request %s failed", request_id, exc_info=outcome)
            outcome = ServiceError(
                f"request {request_id}: unexpected {type(outcome).__name__}; search the replica's log for this id"
            )
        return self._refused(outcome, label, request_id, started_s)

    def _refused(
        self, error: ServiceError, label: str, request_id: str, started_s: float, scope: Scope | None = None
    ) -> Response:
        """Return an error's problem document, and count it. ``scope`` is needed for an error about the method."""
        body = error.problem(request_id)
        headers = _headers(_PROBLEM, body, request_id)
        if error.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % error.retry_after_s))
        if isinstance(error, MethodNotAllowed) and scope is not None:
            headers.append((b"allow", self._routes.allowed(scope).encode()))
        if isinstance(error, BodyTooSlow):
            headers.append((b"connection", b"close"))
        self._metrics.answered(error.status, (time.perf_counter() - started_s) * 1e3, label)
        return Response(error.status, headers, body)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            stopping = message["type"] == "lifespan.shutdown"
            if stopping:
                self.engine.close()
            elif message["type"] == "lifespan.startup":
                try:
                    await self._start()
                except Exception as error:
                    logger.exception("this replica cannot start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
            await send({"type": f"{message['type']}.complete"})
            if stopping:
                return

    async def _start(self) -> None:
        """Rehearse. If that fails, close all parts, because the server then sends no shutdown message."""
        try:
            await self.engine.rehearse()
        except BaseException:
            self.engine.close()
            raise

    def _bound(self, route: Route) -> Answer:
        answer: Answer = MethodType(route.handler, self._handlers)  # faster to call than a partial
        if route.status_while_waiting is None:
            return answer
        return partial(self._while_waiting, route.status_while_waiting, answer)

    async def _while_waiting(
        self, waiting_status: int, answer: Answer, scope: Scope, receive: Receive, request_id: str
    ) -> Reply:
        """Answer a request, with ``waiting_status`` while the replica waits for another unit."""
        status, content_type, body, degraded = await answer(scope, receive, request_id)
        if self.engine.rehearsal.waits_for:
            status = waiting_status
        return status, content_type, body, degraded

    def _request_id(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        value = dict(headers).get(_REQUEST_ID)  # faster than a loop in Python
        if value and len(value) <= _MAX_REQUEST_ID_BYTES and value.isascii():
            request_id = str(value, "ascii")
            if request_id.isprintable():
                return request_id
        return f"{self._id_prefix}-{next(self._id_counter):x}"


def _headers(content_type: bytes, body: bytes, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (_REQUEST_ID, request_id.encode()),
    ]


async def _send(send: Send, response: Response) -> None:
    start = {"type": "http.response.start", "status": response.status, "headers": response.headers}
    await send_at_once(send, start, {"type": "http.response.body", "body": response.body})
