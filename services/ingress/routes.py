"""Routes map a request's method and path to the function that answers the request.

An error about an unknown path names the routes. An error about a wrong method names the methods of the route.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from services.errors import MethodNotAllowed, NotFound
from services.ingress.asgi import Receive, Scope

Reply = tuple[int, bytes, bytes, str | None]
"""An answer: status, content type, body, and the reasons why it is degraded, joined by commas, or None."""
Answer = Callable[[Scope, Receive, str], Awaitable[Reply]]
"""Answers one request. The string is the request's id."""

UNKNOWN = "unknown"
"""The metric label of paths that match no route."""
_SHOWN = 200  # characters of a path that an error repeats


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the route table.

    Attributes:
        path: the path, and the route's label in metrics. A part ``{name}`` is a parameter, which is put into
            ``scope["path_params"]``. It ends at the next slash, but a parameter at the end takes the rest of the path.
        handler: a method that takes scope, receive and the request's id. HEAD is answered like GET.
        body: the type of the request's JSON document, if its fields are fixed.
        answer: the type of the answer's JSON document, if its fields are fixed.
        status_while_waiting: replaces the answer's status while the replica waits for another unit. With None, the
            status stays.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Callable[..., Awaitable[Reply]]
    body: type[msgspec.Struct] | None = None
    answer: type[msgspec.Struct] | None = None
    status_while_waiting: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A bound route.

    Attributes:
        label: the route's label in metrics.
    """

    answer: Answer
    label: str


class RouteTable:
    """Finds a request's endpoint. A path without parameters costs only a dictionary look-up."""

    def __init__(self, routes: Sequence[Route], bind: Callable[[Route], Answer]) -> None:
        """Build the table. ``bind`` returns the function that answers a route."""
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._patterns: dict[re.Pattern[str], dict[str, Endpoint]] = {}
        for route in routes:
            if "{" in route.path:
                methods = self._patterns.setdefault(_pattern(route.path), {})
            else:
                methods = self._exact.setdefault(route.path, {})
            endpoint = Endpoint(bind(route), route.path)
            methods[route.method] = endpoint
            if route.method == "GET":
                methods["HEAD"] = endpoint  # the server drops the body
        paths = [*dict.fromkeys(route.path for route in routes)]
        self._remedy = f"use {', '.join(paths[:-1])} or {paths[-1]}"

    def find(self, scope: Scope) -> Endpoint:
        """Return a request's endpoint, and put its path parameters into the scope.

        Raises:
            NotFound: no route has this path.
            MethodNotAllowed: the path takes other methods.
        """
        try:
            return self._exact[scope["path"]][scope["method"]]
        except KeyError:
            return self._search(scope)

    def allowed(self, scope: Scope) -> str:
        """Return the methods that a request's path allows, for the header ``Allow``."""
        return ", ".join(self._methods(scope))

    def label(self, scope: Scope) -> str:
        """Return the metric label of a request's path."""
        return next((endpoint.label for endpoint in self._methods(scope).values()), UNKNOWN)

    def _search(self, scope: Scope) -> Endpoint:
        methods, path, method = self._methods(scope), scope["path"], scope["method"]
        if not methods:
            raise NotFound(f"no such route, got {path[:_SHOWN]}; {self._remedy}", field="path")
        endpoint = methods.get(method)
        if endpoint is None:
            allowed = " or ".join(methods)
            raise MethodNotAllowed(
                f"{self.label(scope)} takes {allowed}, got {method[:20]}; send {allowed}",
                field="method",
            )
        return endpoint

    def _methods(self, scope: Scope) -> Mapping[str, Endpoint]:
        """Return the path's endpoints by method. The result is empty if no route has this path."""
        methods = self._exact.get(scope["path"])
        if methods is not None:
            return methods
        for pattern, methods in self._patterns.items():
            match = pattern.fullmatch(scope["path"])
            if match is not None:
                scope["path_params"] = match.groupdict()
                return methods
        return {}


def _pattern(template: str) -> re.Pattern[str]:
    """Return the pattern that matches a path with parameters."""
    last = re.sub(r"\\{(\w+)\\}$", r"(?P<\1>.*)", re.escape(template))
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", last), re.DOTALL)
