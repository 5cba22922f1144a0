"""A client for one service: a ranking, and the details of its items, over one connection."""

import http.client
import json
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import msgspec

from services.errors import RequestError, ServiceError
from services.ingress.schema import RankResponse

_LIMIT_S = 60.0
_REFUSED = range(400, 500)
_OVERLOADED = 429


class Client:
    """Talks to the service of a pipeline."""

    def __init__(self, host: str, port: int, config: Path) -> None:
        """Connect with the first request. ``config`` is the pipeline's file, for error messages."""
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._config = config
        try:
            self._connection = http.client.HTTPConnection(host, port, timeout=_LIMIT_S)
        except http.client.InvalidURL as error:
            raise self._unreachable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rank(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, and return the answer.

        Raises:
            RequestError: the service refuses the request.
            ServiceError: no service answers, or it answers with an error.
        """
        status, document = self._ask("POST", "/v1/rank", json.dumps(request))
        if status in _REFUSED and status != _OVERLOADED:
            raise RequestError(_detail(document))
        if status != http.client.OK:
            raise ServiceError(f"{self._url} answered with status {status}: {_detail(document)}")
        try:
            msgspec.convert(document, RankResponse)
        except msgspec.ValidationError as error:
            raise self._other_program() from error
        answer: dict[str, Any] = document
        return answer

    def details(self, item_id: str) -> dict[str, Any]:
        """Return an item's details. Empty if the catalogue does not have the item."""
        status, document = self._ask("GET", f"/v1/items/{quote(item_id, safe='')}")
        return document if status == http.client.OK and isinstance(document, dict) else {}

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
        try:
            self._connection.request(method, path, body)
            response = self._connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        try:
            return response.status, json.loads(data)
        except ValueError as error:
            raise self._other_program() from error

    def _unreachable(self, error: Exception) -> ServiceError:
        return ServiceError(
            f"no service answers at {self._url} ({str(error) or type(error).__name__}); start it with "
            f"`rankway serve {self._config}`, or name its address with --host and --port"
        )

    def _other_program(self) -> ServiceError:
        return ServiceError(
            f"{self._url} did not answer like a service of Rankway, so another program may listen there; name the "
            f"port of the service with --port"
        )


def _detail(document: Any) -> str:
    """Return the explanation in an error's document."""
    return str(document.get("detail", document)) if isinstance(document, dict) else str(document)
