"""The HTTP application in raw ASGI. The same object runs behind Serve, behind its fast path and on a plain server.

The routes are in ``services.ingress.handlers``.
"""

import itertools
import logging
import secrets
import time
from collections.abc import Sequence
from functools import partial
from types import MethodType

from services.errors import BodyTooSlow, MethodNotAllowed, ServiceError
from services.ingress.asgi import Receive, Scope, Send, send_at_once
from services.ingress.body import Disconnected
from services.ingress.engine import Engine
from services.ingress.handlers import ROUTES, Handlers
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
        request_id = self._request_id(scope)
        try:
            endpoint = self._routes.find(scope)
            status, content_type, body, degraded = await endpoint.answer(scope, receive, request_id)
        except Disconnected:
            return
        except ServiceError as error:
            await self._refuse(scope, send, error, request_id, started_s)
            return
        except (
            Exception
        ) as error:  # a bug: the caller gets a problem document, and the log gets the traceback
            logger.exception("request %s failed", request_id)
            failure = ServiceError(
                f"request {request_id}: unexpected {type(error).__name__}; search the replica's log for this id"
            )
            await self._refuse(scope, send, failure, request_id, started_s)
            return
        await _send(send, status, content_type, body, request_id)
        self._metrics.answered(status, (time.perf_counter() - started_s) * 1e3, endpoint.label, degraded)

    async def refuse(self, scope: Scope, send: Send, error: ServiceError) -> None:
        """Answer an HTTP request with ``error``, without reading its body."""
        await self._refuse(scope, send, error, self._request_id(scope), time.perf_counter())

    async def _refuse(
        self, scope: Scope, send: Send, error: ServiceError, request_id: str, started_s: float
    ) -> None:
        headers: list[tuple[bytes, bytes]] = []
        if error.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % error.retry_after_s))
        if isinstance(error, MethodNotAllowed):
            headers.append((b"allow", self._routes.allowed(scope).encode()))
        if isinstance(error, BodyTooSlow):
            headers.append((b"connection", b"close"))
        await _send(send, error.status, _PROBLEM, error.problem(request_id), request_id, headers)
        elapsed_ms = (time.perf_counter() - started_s) * 1e3
        self._metrics.answered(error.status, elapsed_ms, self._routes.label(scope))

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

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope.get("headers", ()):
            if name == _REQUEST_ID and 0 < len(value) <= _MAX_REQUEST_ID_BYTES and value.isascii():
                request_id = str(value, "ascii")
                if request_id.isprintable():
                    return request_id
        return f"{self._id_prefix}-{next(self._id_counter):x}"


async def _send(
    send: Send,
    status: int,
    content_type: bytes,
    body: bytes,
    request_id: str,
    extra: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (_REQUEST_ID, request_id.encode()),
        *extra,
    ]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send_at_once(send, start, {"type": "http.response.body", "body": body})
