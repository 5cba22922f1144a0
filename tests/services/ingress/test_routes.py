"""The route table: the route for each method and path, and the errors for unknown ones."""

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.errors import MethodNotAllowed, NotFound
from services.ingress.asgi import Receive, Scope
from services.ingress.handlers import ROUTES
from services.ingress.routes import UNKNOWN, Answer, Reply, Route, RouteTable

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "http.md"


def named(name: str) -> Any:
    async def handler(_scope: Scope, _receive: Receive, request_id: str) -> Reply:
        return 200, name.encode(), request_id.encode(), None

    return handler


TABLE = RouteTable(
    (
        Route("POST", "/v1/rank", named("rank")),
        Route("GET", "/v1/jobs", named("list")),
        Route("POST", "/v1/jobs", named("add")),
        Route("GET", "/v1/items/{id}", named("item")),
        Route("POST", "/v2/models/{model}/versions/{version}/infer", named("infer")),
        Route("GET", "/a.b", named("dot")),
    ),
    lambda route: route.handler,
)


def scope_of(method: str, path: str) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path}


async def nothing() -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("method", "path", "name", "label", "params"),
    [
        ("POST", "/v1/rank", "rank", "/v1/rank", None),
        ("GET", "/v1/jobs", "list", "/v1/jobs", None),
        ("HEAD", "/v1/jobs", "list", "/v1/jobs", None),
        ("POST", "/v1/jobs", "add", "/v1/jobs", None),
        ("GET", "/v1/items/a", "item", "/v1/items/{id}", {"id": "a"}),
        ("GET", "/v1/items/", "item", "/v1/items/{id}", {"id": ""}),
        ("GET", "/v1/items/../a\n/b", "item", "/v1/items/{id}", {"id": "../a\n/b"}),
        (
            "POST",
            "/v2/models/m/versions/2/infer",
            "infer",
            "/v2/models/{model}/versions/{version}/infer",
            {"model": "m", "version": "2"},
        ),
    ],
)
def test_finds_route_by_method_and_path(
    method: str, path: str, name: str, label: str, params: dict[str, str] | None
) -> None:
    scope = scope_of(method, path)
    endpoint = TABLE.find(scope)
    assert asyncio.run(_reply(endpoint.answer, scope)) == (200, name.encode(), b"id-1", None)
    assert scope.get("path_params") == params
    assert endpoint.label == TABLE.label(scope) == label


async def _reply(answer: Answer, scope: Scope) -> Reply:
    return await answer(scope, nothing, "id-1")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "*",
        "/axb",
        "/V1/rank",
        "/v1/rank/",
        "/v1/rank\n",
        "/v1/items",
        "/v1/" + "x" * 100_000,
        "/v2/models//versions/2/infer",
        "/v2/models/m/n/versions/2/infer",
    ],
)
def test_unknown_path_is_not_found_and_the_error_names_the_routes(path: str) -> None:
    scope = scope_of("POST", path)
    with pytest.raises(NotFound) as refused:
        TABLE.find(scope)
    assert refused.value.field == "path"
    assert refused.value.detail.startswith("path: no such route, got ")
    remedy = "use /v1/rank, /v1/jobs, /v1/items/{id}, /v2/models/{model}/versions/{version}/infer or /a.b"
    assert refused.value.detail.endswith(f"; {remedy}")
    assert len(refused.value.detail) < 400
    assert TABLE.label(scope) == UNKNOWN
    assert TABLE.allowed(scope) == ""


@pytest.mark.parametrize(
    ("method", "path", "allowed", "text"),
    [
        ("GET", "/v1/rank", "POST", "method: /v1/rank takes POST, got GET; send POST"),
        ("HEAD", "/v1/rank", "POST", "method: /v1/rank takes POST, got HEAD; send POST"),
        ("post", "/v1/items/a", "GET, HEAD", "takes GET or HEAD, got post;"),
        ("X" * 100_000, "/v1/jobs", "GET, HEAD, POST", f"got {20 * 'X'};"),
    ],
)
def test_wrong_method_is_refused_and_the_error_names_the_allowed_methods(
    method: str, path: str, allowed: str, text: str
) -> None:
    scope = scope_of(method, path)
    with pytest.raises(MethodNotAllowed, match=re.escape(text)) as refused:
        TABLE.find(scope)
    assert refused.value.field == "method"
    assert TABLE.allowed(scope) == allowed
    assert TABLE.label(scope) != UNKNOWN


def test_no_two_routes_share_method_and_path() -> None:
    keys = [(route.method, route.path) for route in ROUTES]
    assert len(set(keys)) == len(keys)


def section(heading: str) -> str:
    """Return the text below a heading of the guide. Empty if there is no such heading."""
    text = DOCUMENT.read_text(encoding="utf-8").partition(f"\n### {heading}\n")[2]
    return text.partition("\n## ")[0].partition("\n### ")[0]


def documented_routes() -> dict[str, str]:
    """Return the rows in the guide's route table, by method and path."""
    rows: dict[str, str] = {}
    for line in section("Routes").splitlines():
        if line.startswith("| `"):
            rows |= dict.fromkeys(re.findall(r"`([A-Z]+ /[^`]*)`", line.split("|")[1]), line)
    return rows


def test_guide_lists_all_routes() -> None:
    rows = documented_routes()
    assert sorted(rows) == sorted(f"{route.method} {route.path}" for route in ROUTES)
    for route in ROUTES:
        if route.status_while_waiting is not None:
            row = rows[f"{route.method} {route.path}"]
            assert f"`{route.path}` is {route.status_while_waiting}" in row


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body is not None], ids=lambda r: r.path)
def test_guide_documents_the_fields_of_each_body_and_answer(route: Route) -> None:
    for title, kind in (("request", route.body), ("answer", route.answer)):
        text = section(f"The {title} of `{route.method} {route.path}`")
        fields = re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)
        assert fields == ([] if kind is None else [each.name for each in msgspec.structs.fields(kind)])
