"""Reading a request's body: bounded in bytes and in time."""

import asyncio

from services.errors import BodyTooLarge, BodyTooSlow
from services.ingress.asgi import Receive, Scope, request_cycle

_BODY_LIMIT_S = 10.0  # a client that trickles must not hold a place of max_ongoing_requests
_READ_PAST_BYTES = 16 * 1024 * 1024


class Disconnected(Exception):
    """The client went away before it was answered."""


async def read_body(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    """Give the whole body.

    Raises:
        BodyTooLarge: over ``max_bytes``. BodyTooSlow: not there in time. Disconnected: the client left.
    """
    cycle = request_cycle(receive)
    # Nearly every body is there with its headers; a timer costs as much as parsing it.
    if cycle is not None and not cycle.more_body:
        return await _read(scope, receive, max_bytes)
    try:
        async with asyncio.timeout(_BODY_LIMIT_S):
            return await _read(scope, receive, max_bytes)
    except TimeoutError as error:
        raise BodyTooSlow(
            f"body: not complete within {_BODY_LIMIT_S:g} s; send it without pauses", field="body"
        ) from error


async def _read(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            if int(value) <= _READ_PAST_BYTES:
                await _read_past(receive)
            raise _too_large(max_bytes)
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size_bytes += len(part)
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"body: larger than {max_bytes} bytes; send fewer candidates, or raise requests.max_body_bytes",
        field="body",
    )


async def _read_past(receive: Receive) -> None:
    """Drop a body that is moderately too large: a proxy that is answered early cuts off a client still sending."""
    while (message := await receive()).get("more_body", False):
        pass
    if message["type"] == "http.disconnect":
        raise Disconnected
