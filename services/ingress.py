"""The HTTP application: raw ASGI, the same object behind Serve, its fast path and a plain server.

POST /v1/rank            a request to an answer
GET  /v1/items/{id}      the item's GeoJSON
GET  /healthz, /readyz   alive; warm and ready
"""

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from services.engine import Engine
from services.errors import BodyTooLarge, MethodNotAllowed, NotFound, RequestError, ServiceError
from services.requests import parse_rank_request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Reply = tuple[int, bytes, bytes, str | None]  # status, content type, body, what the answer missed

FAST_PATH = "rankway.fast_path"
_JSON = b"application/json"
_GEOJSON = b"application/geo+json"
_PROBLEM = b"application/problem+json"
_REQUEST_ID = b"x-request-id"
_MAX_REQUEST_ID_BYTES = 128


class Disconnected(Exception):
    """The client went away before its request was read."""


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
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        started_s = time.perf_counter()
        request_id = self._request_id(scope)
        degraded: str | None = None
        retry_after_s: int | None = None
        try:
            status, content_type, body, degraded = await self._route(scope, receive, request_id)
        except ServiceError as error:
            status, content_type, body = error.status, _PROBLEM, error.problem(request_id)
            retry_after_s = error.retry_after_s
        except Disconnected:
            return
        headers = [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            (_REQUEST_ID, request_id.encode("latin-1")),
        ]
        if retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % retry_after_s))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._metrics.answered(status, (time.perf_counter() - started_s) * 1e3, degraded)

    async def _route(self, scope: Scope, receive: Receive, request_id: str) -> Reply:
        path, method = scope["path"], scope["method"]
        if path == "/v1/rank":
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
        body = await self._read_body(scope, receive)
        request = parse_rank_request(body)
        answer = await self._engine.rank(request, request_id, is_abandoned=_watch(receive))
        return 200, _JSON, self._encode(answer), answer.degraded

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._max_body_bytes:
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
            if name == _REQUEST_ID and 0 < len(value) <= _MAX_REQUEST_ID_BYTES:
                return str(value, "latin-1")
        return f"{self._id_prefix}-{next(self._id_counter):x}"


def _require(method: str, wanted: str, path: str) -> None:
    if method != wanted:
        raise MethodNotAllowed(f"{path} answers {wanted}, not {method}", field="method")


def _watch(receive: Receive) -> Callable[[], bool] | None:
    """Ask uvicorn's request cycle, for nothing, whether its client has gone; None behind other servers."""
    cycle: Any = getattr(receive, "__self__", None)
    if cycle is None or not hasattr(cycle, "disconnected"):
        return None
    return lambda: bool(cycle.disconnected)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
