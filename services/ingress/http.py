"""The HTTP application: raw ASGI, the same object behind Serve, its fast path and a plain server.

POST /v1/rank            a request to an answer
POST /v1/feedback        what came of an answer, to the served log
GET  /v1/items/{id}      the item's GeoJSON
GET  /healthz, /readyz   alive; warm and ready
"""

import itertools
import logging
import secrets
import time
from collections.abc import Sequence

import msgspec

from services.errors import BodyTooSlow, MethodNotAllowed, NotFound, Overloaded, ServiceError
from services.ingress.asgi import Receive, Scope, Send, cycle_of, send_whole
from services.ingress.body import Disconnected, read_body
from services.ingress.engine import Engine
from services.ingress.feedback import log_feedback, parse_feedback
from services.ingress.items import item_row
from services.ingress.misses import Misses
from services.ingress.schema import parse_rank_request, read_urgency

Reply = tuple[int, bytes, bytes, str | None]  # status, content type, body, what the answer missed

FAST_PATH = "rankway.fast_path"
_RANK_PATH = "/v1/rank"
_FEEDBACK_PATH = "/v1/feedback"
_JSON = b"application/json"
_GEOJSON = b"application/geo+json"
_PROBLEM = b"application/problem+json"
_REQUEST_ID = b"x-request-id"
_MAX_REQUEST_ID_BYTES = 128
logger = logging.getLogger("ray.serve")


class RankApp:
    """The application object of one ingress replica."""

    def __init__(self, engine: Engine) -> None:
        """Answer with ``engine``."""
        self.engine = engine
        self._metrics = engine.request_metrics
        self._misses = Misses(engine.config, engine.metrics)
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
        try:
            status, content_type, body, degraded = await self._route(scope, receive, request_id)
        except Disconnected:
            return
        except ServiceError as error:
            await self._refuse(scope, send, error, request_id, started_s)
            return
        except Exception as error:  # a bug: the caller still gets a document, the operator the traceback
            logger.exception("request %s failed", request_id)
            failure = ServiceError(
                f"unexpected {type(error).__name__}: see the replica's log for {request_id}"
            )
            await self._refuse(scope, send, failure, request_id, started_s)
            return
        await _send(send, status, content_type, body, request_id)
        self._metrics.answered(status, (time.perf_counter() - started_s) * 1e3, degraded)

    async def refuse(self, scope: Scope, send: Send, error: ServiceError) -> None:
        """Answer an HTTP request with ``error``, unread."""
        await self._refuse(scope, send, error, self._request_id(scope), time.perf_counter())

    async def _refuse(
        self, scope: Scope, send: Send, error: ServiceError, request_id: str, started_s: float
    ) -> None:
        extra = _headers_of(error, scope["path"])
        await _send(send, error.status, _PROBLEM, error.problem(request_id), request_id, extra)
        self._metrics.answered(error.status, (time.perf_counter() - started_s) * 1e3)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            stopping = message["type"] == "lifespan.shutdown"
            if stopping:
                self.engine.close()
            elif message["type"] == "lifespan.startup":
                await self.engine.rehearse()
            await send({"type": f"{message['type']}.complete"})
            if stopping:
                return

    async def _route(self, scope: Scope, receive: Receive, request_id: str) -> Reply:
        path, method = scope["path"], scope["method"]
        if path == _RANK_PATH:
            _require(method, "POST", path)
            return await self._rank(scope, receive, request_id)
        if path == _FEEDBACK_PATH:
            _require(method, "POST", path)
            feedback = parse_feedback(await read_body(scope, receive, self._max_body_bytes))
            log_feedback(feedback, self.engine.release.catalogue, self.engine.log)
            return 202, _JSON, b"{}", None
        if path.startswith("/v1/items/"):
            _require(method, "GET", path)
            catalogue = self.engine.release.catalogue
            row = item_row(catalogue, path.removeprefix("/v1/items/"))
            return 200, _GEOJSON, catalogue.details(row), None
        if path in {"/healthz", "/readyz"}:
            _require(method, "GET", path)
            waits_for = self.engine.rehearsal.waits_for
            status = 503 if path == "/readyz" and waits_for else 200
            return status, _JSON, self._health(scope, waits_for), None
        raise NotFound(
            f"no route {path[:200]}: use /v1/rank, /v1/feedback, /v1/items/{{id}}, /healthz or /readyz",
            field="path",
        )

    async def _rank(self, scope: Scope, receive: Receive, request_id: str) -> Reply:
        body = await read_body(scope, receive, self._max_body_bytes)
        started_s = time.perf_counter()
        try:
            self.engine.shed(body)
        except Overloaded:
            urgency = read_urgency(body)
            self._misses.refused(urgency.deadline_ms if urgency is not None else None)
            raise
        request = parse_rank_request(body)
        cycle = cycle_of(receive)
        is_abandoned = None if cycle is None else lambda: bool(cycle.disconnected)
        try:
            answer = await self.engine.rank(request, request_id, is_abandoned=is_abandoned)
        except Overloaded as error:
            if is_abandoned is not None and is_abandoned():
                raise Disconnected from error
            self._misses.refused(request.deadline_ms)
            raise
        elapsed_ms = (time.perf_counter() - started_s) * 1e3
        self._misses.answered(elapsed_ms, answer.degraded, request.deadline_ms)
        return 200, _JSON, self._encode(answer), answer.degraded

    def _health(self, scope: Scope, waits_for: Sequence[str]) -> bytes:
        return self._encode(
            {
                "status": f"waiting for unit {', '.join(waits_for)}" if waits_for else "ok",
                "pipeline": self.engine.config.name,
                **self.engine.live.status(),
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
    await send_whole(send, start, {"type": "http.response.body", "body": body})


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
        headers.append((b"allow", b"POST" if path in {_RANK_PATH, _FEEDBACK_PATH} else b"GET, HEAD"))
    if isinstance(error, BodyTooSlow):
        headers.append((b"connection", b"close"))
    return headers
