"""The route table and its handlers. Each handler returns a complete answer or raises a ``ServiceError``.

To add a route, add one line to ``ROUTES`` and one method to ``Handlers``. The method may call another class.
"""

import msgspec

from services.ingress.asgi import FAST_PATH, Receive, Scope, request_cycle
from services.ingress.body import read_body
from services.ingress.engine import Engine
from services.ingress.feedback import FeedbackRequest, log_feedback
from services.ingress.items import item_row, media_type
from services.ingress.ranking import JSON, RankHandler
from services.ingress.routes import Reply, Route
from services.ingress.schema import RankRequest, RankResponse

RANK = "/v1/rank"


class Handlers:
    """The handlers of one ingress replica.

    Attributes:
        ranking: answers the bodies of ranking requests.
    """

    def __init__(self, engine: Engine) -> None:
        """Answer requests with ``engine``."""
        self._engine = engine
        self.ranking = RankHandler(engine)
        self._encode = msgspec.json.Encoder().encode
        self._max_body_bytes = engine.config.requests.max_body_bytes

    async def rank(self, scope: Scope, receive: Receive, request_id: str) -> Reply:
        """Rank candidates for a user."""
        body = await read_body(scope, receive, self._max_body_bytes)
        cycle = request_cycle(receive)
        is_abandoned = None if cycle is None else lambda: bool(cycle.disconnected)
        return await self.ranking.answer(body, request_id, is_abandoned)

    async def feedback(self, scope: Scope, receive: Receive, _request_id: str) -> Reply:
        """Write an event about an item of an earlier answer to the served log."""
        engine = self._engine
        body = await read_body(scope, receive, self._max_body_bytes)
        log_feedback(body, engine.config.feedback, engine.release.items, engine.log)
        return 202, JSON, b"{}", None

    async def item(self, scope: Scope, _receive: Receive, _request_id: str) -> Reply:
        """Return a catalogue item's details, which are GeoJSON if it is a place."""
        catalogue = self._engine.release.catalogue
        details = catalogue.details(item_row(catalogue, scope["path_params"]["id"]))
        return 200, media_type(details), details, None

    async def health(self, scope: Scope, _receive: Receive, _request_id: str) -> Reply:
        """Return the pipeline's name, its releases, and the units that the replica is waiting for."""
        waits_for = self._engine.rehearsal.waits_for
        document = {
            "status": f"waiting for unit {', '.join(waits_for)}" if waits_for else "ok",
            "pipeline": self._engine.config.name,
            **self._engine.live.status(),
            "catalogue": self._engine.release.catalogue.label,
            "fast_path": bool(scope.get(FAST_PATH, False)),
        }
        return 200, JSON, self._encode(document), None


ROUTES = (
    Route("POST", RANK, Handlers.rank, body=RankRequest, answer=RankResponse),
    Route("POST", "/v1/feedback", Handlers.feedback, body=FeedbackRequest),
    Route("GET", "/v1/items/{id}", Handlers.item),
    Route("GET", "/healthz", Handlers.health),
    Route("GET", "/readyz", Handlers.health, status_while_waiting=503),
)
