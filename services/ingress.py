"""The HTTP application: raw ASGI, the same object behind Serve, its fast path and a plain server.

POST /v1/rank            a request to an answer
GET  /v1/items/{id}      the item's GeoJSON
GET  /healthz, /readyz   alive; warm and ready
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from services.engine import Engine
from services.errors import (
    BodyTooLarge,
    BodyTooSlow,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RequestError,
    ServiceError,
)
from services.requests import parse_rank_request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Reply = tuple[int, bytes, bytes, str | None]  # status, content type, body, what the answer missed

FAST_PATH = "rankway.fast_path"
_RANK_PATH = "/v1/rank"
_JSON = b"application/json"
_GEOJSON = b"application/geo+json"
_PROBLEM = b"application/problem+json"
_REQUEST_ID = b"x-request-id"
_MAX_REQUEST_ID_BYTES = 128
_BODY_LIMIT_S = 10.0  # a client that trickles must not hold a place of max_ongoing_requests
_READ_PAST_BYTES = 16 * 1024 * 1024
logger = logging.getLogger("ray.serve")


class Disconnected(Exception):
    """The client went away before it was answered."""


class RankApp:
    """The application object of one ingress replica."""

    def __init__(self, engine: Engine) -> None:
        """Answer with ``engine``."""
        self._engine = engine
        self._metrics = engine.request_metrics
        self._encode = msgspec.json.Encoder().encode
        self._max_body_bytes = engine.config.requests.max_body_bytes
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
        degraded: str | None = None
        extra: list[tuple[bytes, bytes]] = []
        try:
            status, content_type, body, degraded = await self._route(scope, receive, request_id)
        except Disconnected:
            return
        except ServiceError as error:
            status, content_type, body = error.status, _PROBLEM, error.problem(request_id)
            extra = _headers_of(error, scope["path"])
        except Exception as error:  # a bug: the caller still gets a document, the operator the traceback
            logger.exception("request %s failed", request_id)
            failure = ServiceError(
                f"unexpected {type(error).__name__}: see the replica's log for {request_id}"
            )
            status, content_type, body = failure.status, _PROBLEM, failure.problem(request_id)
        headers = [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            (_REQUEST_ID, request_id.encode()),
            *extra,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._metrics.answered(status, (time.perf_counter() - started_s) * 1e3, degraded)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            stopping = message["type"] == "lifespan.shutdown"
            if stopping:
                self._engine.close()
            await send({"type": f"{message['type']}.complete"})
            if stopping:
                return

    async def _route(self, scope: Scope, receive: Receive, request_id: str) -> Reply:
        path, method = scope["path"], scope["method"]
        if path == _RANK_PATH:
            _require(method, "POST", path)
            return await self._rank(scope, receive, request_id)
        if path.startswith("/v1/items/"):
            _require(method, "GET", path)
            row = self._engine.item_row(path.removeprefix("/v1/items/"))
            return 200, _GEOJSON, self._engine.release.catalogue.details(row), None
        if path in {"/healthz", "/readyz"}:
            _require(method, "GET", path)
            return 200, _JSON, self._health(scope), None
        raise NotFound(
            f"no route {path[:200]}: use /v1/rank, /v1/items/{{id}}, /healthz or /readyz", field="path"
        )

    async def _rank(self, scope: Scope, receive: Receive, request_id: str) -> Reply:
        cycle = _cycle_of(receive)
        # Nearly every body is there with its headers; a timer costs as much as parsing it.
        arrived = cycle is not None and not cycle.more_body
        body = await (self._read_body if arrived else self._await_body)(scope, receive)
        request = parse_rank_request(body)
        is_abandoned = None if cycle is None else lambda: bool(cycle.disconnected)
        try:
            answer = await self._engine.rank(request, request_id, is_abandoned=is_abandoned)
        except Overloaded as error:
            if is_abandoned is not None and is_abandoned():
                raise Disconnected from error
            raise
        return 200, _JSON, self._encode(answer), answer.degraded

    async def _await_body(self, scope: Scope, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(_BODY_LIMIT_S):
                return await self._read_body(scope, receive)
        except TimeoutError as error:
            raise BodyTooSlow(
                f"the body was not there within {_BODY_LIMIT_S:g} s: send it at once", field="body"
            ) from error

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._max_body_bytes:
                if int(value) <= _READ_PAST_BYTES:
                    await _read_past(receive)
                raise self._too_large()
        parts: list[bytes] = []
        size_bytes = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            size_bytes += len(part)
            if size_bytes > self._max_body_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join((*parts, part)) if parts else part
            parts.append(part)

    def _too_large(self) -> RequestError:
        return BodyTooLarge(
            f"the body is over {self._max_body_bytes} bytes: send fewer candidates, or raise "
            f"requests.max_body_bytes",
            field="body",
        )

    def _health(self, scope: Scope) -> bytes:
        return self._encode(
            {
                "status": "ok",
                "pipeline": self._engine.config.name,
                "release": self._engine.release.name,
                "fast_path": bool(scope.get(FAST_PATH, False)),
            }
        )

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope.get("headers", ()):
            if name == _REQUEST_ID and 0 < len(value) <= _MAX_REQUEST_ID_BYTES and value.isascii():
                given = str(value, "ascii")
                if given.isprintable():
                    return given
        return f"{self._id_prefix}-{next(self._id_counter):x}"


async def _read_past(receive: Receive) -> None:
    """Drop a body that is moderately too large: a proxy that is answered early cuts off a client still sending."""
    while (message := await receive()).get("more_body", False):
        pass
    if message["type"] == "http.disconnect":
        raise Disconnected


def _require(method: str, wanted: str, path: str) -> None:
    # HEAD is GET whose body the server drops.
    if method != wanted and not (method == "HEAD" and wanted == "GET"):
        raise MethodNotAllowed(
            f"{path[:200]} answers {wanted}, not {method[:20]}: send it as {wanted}", field="method"
        )


def _headers_of(error: ServiceError, path: str) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", b"POST" if path == _RANK_PATH else b"GET, HEAD"))
    if isinstance(error, BodyTooSlow):
        headers.append((b"connection", b"close"))
    return headers


def _cycle_of(receive: Receive) -> Any:
    """Give uvicorn's request cycle, which says for nothing what else takes a task; None behind other servers."""
    cycle: Any = getattr(receive, "__self__", None)
    return cycle if hasattr(cycle, "disconnected") and hasattr(cycle, "more_body") else None
