"""The fast path: requests go from the replica's HTTP server straight to the application object.

Serve wraps every direct-ingress request in a context, tracing, an access log, and tasks for time-outs and disconnects.
The wrapper costs about 0.24 ms of CPU time. This middleware is placed before it and skips it. Ranking requests skip
ASGI and the middleware too (``services.ingress.direct``). Both ways keep three functions that the cluster depends on:

- Requests are counted in the replica's own in-flight counter, for draining, autoscaling and HAProxy.
- Routes that begin with ``/-/`` stay with Serve.
- ``max_ongoing_requests`` is honoured.

The application itself handles limits, deadlines, request ids and metrics. If Serve's internals are not as expected,
requests take Serve's path, and ``/healthz`` reports it.
"""

import logging
from typing import Any

from starlette.middleware import Middleware

from services.errors import Overloaded
from services.ingress.asgi import FAST_PATH, Headers, Receive, Scope, Send
from services.ingress.direct import DirectAnswer, DirectCycle, DirectProtocol, is_direct
from services.ingress.http import RankApp
from services.ray_internals.serve import ReplicaTarget, find_replica, served_application, use_protocol

IMPORT_PATH = "services.ingress.fast_path:middlewares"
logger = logging.getLogger("ray.serve")


def middlewares() -> list[Middleware]:
    """Return the middlewares, and let the server that gets them use ``DirectProtocol``.

    ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` names this function. Serve calls it before it starts an HTTP server.
    """
    use_protocol(DirectProtocol)
    return [Middleware(FastPath)]


class FastPath:
    """ASGI middleware around the server of a Serve replica. Around Serve's own proxy it changes nothing."""

    def __init__(self, app: Any) -> None:
        """Wrap ``app``, Serve's request wrapper."""
        self._serve = app
        self._target: ReplicaTarget[RankApp] | None = None
        self._is_resolved = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HTTP requests to the application, and Serve's own routes and other connections to Serve."""
        target = self._find()
        if target is None or scope["type"] != "http" or scope["path"].startswith("/-/"):
            await self._serve(scope, receive, send)
            return
        scope[FAST_PATH] = is_direct(receive)
        if not target.enter():
            await target.app.refuse(scope, send, _full())
            return
        try:
            await target.app(scope, receive, send)
        finally:
            target.leave()

    def direct_target(self) -> DirectAnswer | None:
        """Return the function that answers a ranking request directly. None around Serve's own proxy."""
        return None if self._find() is None else self._direct

    def _direct(self, headers: Headers, body: bytes, cycle: DirectCycle) -> None:
        target = self._target
        assert target is not None
        if not target.enter():
            cycle.finish(target.app.refused(headers, _full()))
            return
        cycle.on_finish = target.leave
        target.app.direct(headers, body, cycle)

    def _find(self) -> ReplicaTarget[RankApp] | None:
        if not self._is_resolved:
            self._is_resolved = True
            self._target = find_target(self._serve)
        return self._target


def find_target(app: Any) -> ReplicaTarget[RankApp] | None:
    """Return the replica behind Serve's wrapper. None if there is no replica, or if it has an unexpected class."""
    replica = find_replica(app)
    if replica is None:
        return None
    application = served_application(replica)
    if not isinstance(application, RankApp):
        return None
    try:
        return ReplicaTarget(replica, application)
    except (AttributeError, ImportError, TypeError) as error:
        logger.warning(
            "the fast path is off, and requests take Serve's path: this Ray version has an unexpected replica "
            "class (%s)",
            error,
        )
        return None


def _full() -> Overloaded:
    return Overloaded(
        "this replica already serves max_ongoing_requests requests; send again later", retry_after_s=1
    )
