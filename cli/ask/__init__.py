"""``rankway ask CONFIG``: send a request to a running service, and print the answer as a table."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.address import with_address
from cli.ask.client import Client
from cli.ask.table import show_answer
from cli.errors import exit_on_error, print_warning
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import RequestError
from services.paths import home_directory

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses on which a service listens for all interfaces, and how this machine reaches it."""


def ask(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file of the service.")],
    user: Annotated[str | None, typer.Option(help="User id. Default: a user of the feature store.")] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Context feature, such as minutes=60 or position=60.169,24.94."
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("-k", "--k", help="Length of the list. Default: 3.")] = None,
    show: Annotated[
        list[str] | None,
        typer.Option(
            help="Property of the items to show. Default: the first short text and the first number."
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the service, instead of http.port.")] = None,
    host: Annotated[str | None, typer.Option(help="Address of the service, instead of http.host.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as the service sent it.")] = False,
) -> None:
    """Ask a running service for a ranking, and print it with the items' names.

    Without options, it is the example request that `rankway serve` prints.
    """
    console = Console(stderr=True, soft_wrap=True)
    with exit_on_error(console):
        pipeline = with_address(load_config(config), host, port)
        request = _request(pipeline, user, context or [], k)
        http = pipeline.http
        with Client(_ANY_ADDRESS.get(http.host, http.host), http.port, config) as client:
            answer = client.rank(request)
            if as_json:
                sys.stdout.write(json.dumps(answer) + "\n")
                return
            details = [client.details(item["id"]) for item in answer["items"]]
    if answer.get("unknown_user"):
        print_warning(
            console, f"user_id: not in the feature store, got {request['user_id']}; its features are defaults"
        )
    show_answer(answer, details, show or [])


def _request(pipeline: PipelineConfig, user: str | None, context: list[str], k: int | None) -> dict[str, Any]:
    """Return the example request of the pipeline, changed as the options say."""
    from services.deployment.check import Preflight  # imported here, because it loads Ray
    from services.deployment.example_request import example_request

    home = home_directory()
    preflight = Preflight(pipeline, home)
    text = example_request(pipeline, home, preflight.catalogue, preflight.definitions)
    request: dict[str, Any] = json.loads(text)
    if user is not None:
        request["user_id"] = user
    if k is not None:
        request["k"] = k
    if context:
        request["context"] = {**request.get("context", {}), **dict(map(_named_value, context))}
    return request


def _named_value(option: str) -> tuple[str, Any]:
    """Split NAME=VALUE. The value is JSON, numbers separated by commas, or else a text."""
    name, separator, value = option.partition("=")
    if not separator or not name:
        raise RequestError(
            f"must be NAME=VALUE, got {option!r}; for example --context minutes=60", field="--context"
        )
    for document in (value, f"[{value}]"):
        try:
            return name, json.loads(document)
        except ValueError:
            continue
    return name, value
